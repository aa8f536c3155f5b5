// SPDX-License-Identifier: MIT

// Fiber with its own idempotency middleware and the work of charge_server's handler, for measure.py to load beside it:
//
//	(cd benchmarks/peers && go build -o ../../build/fiber fiber.go)
//	build/fiber [--no-middleware]
package main

import (
	"flag"
	"fmt"
	"log"
	"net"
	"os"
	"sync/atomic"
	"time"

	"idempo/peers/charge"

	"github.com/gofiber/fiber/v2"
	"github.com/gofiber/fiber/v2/middleware/idempotency"
)

var started atomic.Int64

func makeCharge(c *fiber.Ctx) error {
	made, err := charge.Make(c.Body())
	if err != nil {
		return c.Status(fiber.StatusBadRequest).SendString(err.Error() + "\n")
	}
	started.Add(1)
	c.Set("Location", made.Location())
	c.Set("Request-Id", charge.NewRequestID())
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
