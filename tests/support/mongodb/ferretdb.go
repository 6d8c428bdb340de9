package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"os"

	"github.com/FerretDB/FerretDB/ferretdb"
)

// runFerretDB serves MongoDB's protocol over a PostgreSQL server until the process is killed.
func runFerretDB(args []string) error {
	flags := flag.NewFlagSet("ferretdb", flag.ContinueOnError)
	listen := flags.String("listen", "", "address for plain connections")
	tls := flags.String("tls", "", "address for TLS connections; empty: none")
	cert := flags.String("cert", "", "the server's certificate, PEM")
	key := flags.String("key", "", "the server's key, PEM")
	postgres := flags.String("postgres", "", "connection string of the PostgreSQL database")
	if err := flags.Parse(args); err != nil {
		return err
	}
	database, err := ferretdb.New(&ferretdb.Config{
		Listener: ferretdb.ListenerConfig{
			TCP: *listen, TLS: *tls, TLSCertFile: *cert, TLSKeyFile: *key,
		},
		Handler:       "postgresql",
		PostgreSQLURL: *postgres,
		Logger:        slog.New(slog.NewTextHandler(io.Discard, nil)),
	})
	if err != nil {
		return fmt.Errorf("FerretDB does not start: %w", err)
	}
	fmt.Fprintln(os.Stderr, "FerretDB serves", *listen)
	return database.Run(context.Background())
}
