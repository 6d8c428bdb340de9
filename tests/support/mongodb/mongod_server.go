package main

import (
	"bufio"
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/FerretDB/wire"
	"github.com/FerretDB/wire/wirebson"
)

// mongodServer is one mongod, or a replica set of them.
type mongodServer struct {
	program   string
	directory string
	addresses []string
	files     certificateFiles
	processes []*process
	initiated bool
}

const setName = "mpr"

func newMongod(program, directory string, replicas int) (database, error) {
	m := &mongodServer{program: program, directory: directory}
	var err error
	if m.addresses, err = freeAddresses(replicas); err != nil {
		return nil, err
	}
	for i := range m.addresses {
		if err := os.Mkdir(filepath.Join(directory, fmt.Sprint("node", i)), 0o755); err != nil {
			return nil, err
		}
	}
	m.processes = make([]*process, replicas)
	m.files, err = writeCertificates(directory)
	return m, err
}

func (m *mongodServer) isSet() bool { return len(m.addresses) > 1 }

func (m *mongodServer) start() error {
	for i, address := range m.addresses {
		host, port, _ := net.SplitHostPort(address)
		log := filepath.Join(m.directory, fmt.Sprint("node", i, ".log"))
		args := []string{"--dbpath", filepath.Join(m.directory, fmt.Sprint("node", i)), "--bind_ip", host,
			"--port", port, "--tlsMode", "allowTLS", "--tlsCertificateKeyFile", m.files.both,
			"--tlsCAFile", m.files.authority, "--tlsAllowConnectionsWithoutCertificates"}
		if m.isSet() {
			args = append(args, "--replSet", setName)
		}
		started, err := startProcess(syscall.SysProcAttr{}, log, m.program, args...)
		if err != nil {
			return err
		}
		m.processes[i] = started
		if err := started.waitUntil(log, func() bool { return listens("tcp", address) }); err != nil {
			return err
		}
	}
	if !m.isSet() {
		return nil
	}
	return m.waitForPrimary()
}

func (m *mongodServer) waitForPrimary() error {
	if !m.initiated {
		members := wirebson.MakeArray(len(m.addresses))
		for i, address := range m.addresses {
			member := wirebson.MustDocument("_id", int32(i), "host", address)
			if err := members.Add(member); err != nil {
				return err
			}
		}
		configuration := wirebson.MustDocument("_id", setName, "members", members)
		if _, err := ask(m.addresses[0], "replSetInitiate", configuration); err != nil {
			return err
		}
		m.initiated = true
	}
	for end := time.Now().Add(60 * time.Second); time.Now().Before(end); time.Sleep(100 * time.Millisecond) {
		for _, address := range m.addresses {
			answer, err := ask(address, "hello", int32(1))
			if err == nil && answer.Get("isWritablePrimary") == true {
				return nil
			}
		}
	}
	return errors.New("the replica set has elected no primary in a minute")
}

// ask sends one command to the database admin and yields the answer.
func ask(address, command string, argument any) (*wirebson.Document, error) {
	connection, err := net.DialTimeout("tcp", address, time.Second)
	if err != nil {
		return nil, err
	}
	defer connection.Close()
	_ = connection.SetDeadline(time.Now().Add(30 * time.Second))
	message := wire.MustOpMsg(command, argument, "$db", "admin")
	body, err := message.MarshalBinary()
	if err != nil {
		return nil, err
	}
	header := &wire.MsgHeader{MessageLength: int32(wire.MsgHeaderLen + len(body)), RequestID: 1,
		OpCode: wire.OpCodeMsg}
	writer := bufio.NewWriter(connection)
	if err := wire.WriteMessage(writer, header, message); err != nil {
		return nil, err
	}
	if err := writer.Flush(); err != nil {
		return nil, err
	}
	_, answer, err := wire.ReadMessage(bufio.NewReader(connection))
	if err != nil {
		return nil, err
	}
	reply, ok := answer.(*wire.OpMsg)
	if !ok {
		return nil, fmt.Errorf("%s was not answered with a message", command)
	}
	raw, err := reply.RawDocument()
	if err != nil {
		return nil, err
	}
	document, err := raw.Decode()
	if err == nil && document.Get("ok") != float64(1) {
		err = fmt.Errorf("%s failed: %v", command, document.Get("errmsg"))
	}
	return document, err
}

func (m *mongodServer) kill() {
	for i, p := range m.processes {
		p.kill()
		m.processes[i] = nil
	}
}

func (m *mongodServer) end() { m.kill() }

func (m *mongodServer) signal(what syscall.Signal) {
	for _, p := range m.processes {
		p.signal(what)
	}
}

func (m *mongodServer) uri() string {
	if m.isSet() {
		return "mongodb://" + strings.Join(m.addresses, ",") + "/?replicaSet=" + setName
	}
	return "mongodb://" + m.addresses[0] + "/"
}

func (m *mongodServer) tlsURI() string {
	separator := "?"
	if m.isSet() {
		separator = "&"
	}
	return m.uri() + separator + "tls=true&tlsCAFile=" + url.QueryEscape(m.files.authority)
}

func (m *mongodServer) kind() string {
	if m.isSet() {
		return "mongod, a replica set of three"
	}
	return "mongod"
}
