// SPDX-License-Identifier: MIT

// A service on net/http that keeps its idempotency keys in PostgreSQL by hand, with pgx: an INSERT that does nothing on
// conflict, and a SELECT where it did nothing. It does the work of charge_server's handler, and is for measure.py to load
// beside it:
//
//	(cd benchmarks/peers && go build -o ../../build/pgx pgx.go)
//	build/pgx --database URL [--connections N]
package main

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"sync/atomic"

	"idempo/peers/charge"

	"github.com/jackc/pgx/v5/pgxpool"
)

const (
	createTable = `CREATE TABLE IF NOT EXISTS by_hand (
		key text PRIMARY KEY,
		fingerprint bytea NOT NULL,
		made_at timestamptz NOT NULL DEFAULT now(),
		status integer,
		location text,
		request_id text,
		body bytea)`
	claim    = `INSERT INTO by_hand (key, fingerprint) VALUES ($1, $2) ON CONFLICT DO NOTHING`
	find     = `SELECT fingerprint, status, location, request_id, body FROM by_hand WHERE key = $1`
	complete = `UPDATE by_hand SET status = $2, location = $3, request_id = $4, body = $5 WHERE key = $1`
)

type answer struct {
	status              *int
	location, requestID *string
	body                []byte
}

type service struct {
	pool    *pgxpool.Pool
	started atomic.Int64
}

func fingerprint(r *http.Request, body []byte) []byte {
	hash := sha256.New()
	fmt.Fprintf(hash, "%s %s\n", r.Method, r.URL.RequestURI())
	hash.Write(body)
	return hash.Sum(nil)
}

func (s *service) makeCharge(body []byte) (answer, error) {
	made, err := charge.Make(body)
	if err != nil {
		return answer{}, err
	}
	s.started.Add(1)
	text, err := json.Marshal(made)
	status, location, requestID := http.StatusCreated, made.Location(), charge.NewRequestID()
	return answer{&status, &location, &requestID, text}, err
}

func (s *service) find(ctx context.Context, key string, wanted []byte) (answer, int) {
	var kept []byte
	var a answer
	row := s.pool.QueryRow(ctx, find, key)
	if err := row.Scan(&kept, &a.status, &a.location, &a.requestID, &a.body); err != nil {
		return a, http.StatusServiceUnavailable
	}
	if !bytes.Equal(kept, wanted) {
		return a, http.StatusUnprocessableEntity
	}
	if a.status == nil {
		return a, http.StatusConflict
	}
	return a, *a.status
}

func (s *service) once(ctx context.Context, key string, wanted, body []byte) (answer, int) {
	claimed, err := s.pool.Exec(ctx, claim, key, wanted)
	if err != nil {
		return answer{}, http.StatusServiceUnavailable
	}
	if claimed.RowsAffected() == 0 {
		return s.find(ctx, key, wanted)
	}
	a, err := s.makeCharge(body)
	if err != nil {
		return a, http.StatusBadRequest
	}
	if _, err := s.pool.Exec(ctx, complete, key, a.status, a.location, a.requestID, a.body); err != nil {
		return a, http.StatusServiceUnavailable
	}
	return a, *a.status
}

func (s *service) charge(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return
	}
	var a answer
	var status int
	if key := r.Header.Get("Idempotency-Key"); key != "" {
		a, status = s.once(r.Context(), key, fingerprint(r, body), body)
	} else if a, err = s.makeCharge(body); err != nil {
		status = http.StatusBadRequest
	} else {
		status = *a.status
	}
	if status != http.StatusCreated {
		w.WriteHeader(status)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Location", *a.location)
	w.Header().Set("Request-Id", *a.requestID)
	w.WriteHeader(status)
	w.Write(a.body)
}

func main() {
	database := flag.String("database", "", "a connection string")
	connections := flag.Int("connections", 16, "of the pool, at most")
	flag.Parse()
	config, err := pgxpool.ParseConfig(*database)
	if err != nil {
		log.Fatal(err)
	}
	config.MaxConns = int32(*connections)
	pool, err := pgxpool.NewWithConfig(context.Background(), config)
	if err != nil {
		log.Fatal(err)
	}
	if _, err := pool.Exec(context.Background(), createTable); err != nil {
		log.Fatal(err)
	}
	s := &service{pool: pool}
	http.HandleFunc("POST /charge", s.charge)
	http.HandleFunc("GET /charges", func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprintf(w, "{\"started\":%d}", s.started.Load())
	})

	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		log.Fatal(err)
	}
	fmt.Printf("listening on http://%s\n", listener.Addr())
	log.Fatal(http.Serve(listener, nil))
}
