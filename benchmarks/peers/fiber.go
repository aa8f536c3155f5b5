// SPDX-License-Identifier: MIT

// Fiber with its own idempotency middleware and the work of charge_server's handler, for measure.py to load beside it:
//
//	(cd benchmarks/peers && go build -o ../../build/fiber fiber.go)
//	build/fiber [--no-middleware]
package main

import (
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"flag"
	"fmt"
	"log"
	"net"
	"os"
	"sync/atomic"
	"time"

	"github.com/gofiber/fiber/v2"
	"github.com/gofiber/fiber/v2/middleware/idempotency"
)

type order struct {
	Amount int64 `json:"amount"`
}

type charge struct {
	ID      string `json:"id"`
	Amount  int64  `json:"amount"`
	Status  string `json:"status"`
	Attempt int    `json:"attempt"`
}

var started atomic.Int64

func randomID(prefix string) string {
	var bytes [16]byte
	if _, err := rand.Read(bytes[:]); err != nil {
		panic(err)
	}
	return prefix + hex.EncodeToString(bytes[:])
}

func makeCharge(c *fiber.Ctx) error {
	var wanted order
	if err := json.Unmarshal(c.Body(), &wanted); err != nil || wanted.Amount <= 0 {
		return c.Status(fiber.StatusBadRequest).SendString("{\"amount\":42} is needed\n")
	}
	started.Add(1)
	made := charge{ID: randomID("ch_"), Amount: wanted.Amount, Status: "charged", Attempt: 1}
	c.Set("Location", "/charges/"+made.ID)
	c.Set("Request-Id", randomID("req_"))
	return c.Status(fiber.StatusCreated).JSON(made)
}

func main() {
	bare := flag.Bool("no-middleware", false, "the handler alone")
	flag.Parse()
	server := fiber.New(fiber.Config{DisableStartupMessage: true})
	if !*bare {
		server.Use(idempotency.New(idempotency.Config{
			KeyHeader:         "Idempotency-Key",
			KeyHeaderValidate: func(string) error { return nil },
			Lifetime:          24 * time.Hour,
		}))
	}
	server.Post("/charge", makeCharge)
	server.Get("/charges", func(c *fiber.Ctx) error { return c.JSON(fiber.Map{"started": started.Load()}) })

	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		log.Fatal(err)
	}
	fmt.Fprintf(os.Stdout, "listening on http://%s\n", listener.Addr())
	log.Fatal(server.Listener(listener))
}
