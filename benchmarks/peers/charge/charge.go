// SPDX-License-Identifier: MIT

// Package charge is the work of charge_server's handler, for the servers that are measured beside it.
package charge

import (
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
)

// ErrInvalid says what a request needs.
var ErrInvalid = errors.New("{\"amount\":42} is needed")

type order struct {
	Amount int64 `json:"amount"`
}

// Charge is sent as JSON.
type Charge struct {
	ID      string `json:"id"`
	Amount  int64  `json:"amount"`
	Status  string `json:"status"`
	Attempt int    `json:"attempt"`
}

// Location is where the charge would be found.
func (c Charge) Location() string { return "/charges/" + c.ID }

// Make charges what the body of a request asks for.
func Make(body []byte) (Charge, error) {
	var wanted order
	if err := json.Unmarshal(body, &wanted); err != nil || wanted.Amount <= 0 {
		return Charge{}, ErrInvalid
	}
	return Charge{ID: randomID("ch_"), Amount: wanted.Amount, Status: "charged", Attempt: 1}, nil
}

// NewRequestID names an answer.
func NewRequestID() string { return randomID("req_") }

func randomID(prefix string) string {
	var bytes [16]byte
	if _, err := rand.Read(bytes[:]); err != nil {
		panic(err)
	}
	return prefix + hex.EncodeToString(bytes[:])
}
