// Servers that speak MongoDB's protocol, for tests.
//
//	mongodb_for_tests start     a database of its own; see start.go
//	mongodb_for_tests proxy     a replica set of three in front of one server; see proxy.go
//	mongodb_for_tests ferretdb  what start runs when there is no mongod
package main

import (
	"fmt"
	"os"
)

func main() {
	commands := map[string]func([]string) error{
		"start": runStart, "proxy": runProxy, "ferretdb": runFerretDB,
	}
	if len(os.Args) < 2 || commands[os.Args[1]] == nil {
		fmt.Fprintln(os.Stderr, "usage: mongodb_for_tests start|proxy|ferretdb [flags]")
		os.Exit(2)
	}
	if err := commands[os.Args[1]](os.Args[2:]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
