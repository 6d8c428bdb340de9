package main

import (
	"errors"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"sort"
	"strconv"
	"syscall"
	"time"
)

// ferretServer is FerretDB over a PostgreSQL server of its own.
type ferretServer struct {
	directory  string
	programs   string // PostgreSQL's
	credential *syscall.Credential
	plain, tls string // addresses, from the first start on
	files      certificateFiles

	postgres, ferret *process
}

func newFerretDB(directory string) (database, error) {
	f := &ferretServer{directory: directory}
	var err error
	if f.programs, err = findPostgres(); err != nil {
		return nil, err
	}
	if f.credential, err = unprivileged(); err != nil {
		return nil, err
	}
	if f.files, err = writeCertificates(directory); err != nil {
		return nil, err
	}
	return f, f.initdb()
}

func findPostgres() (string, error) {
	found, _ := filepath.Glob("/usr/lib/postgresql/*/bin/initdb")
	sort.Strings(found)
	if len(found) > 0 {
		return filepath.Dir(found[len(found)-1]), nil
	}
	if initdb, err := exec.LookPath("initdb"); err == nil {
		return filepath.Dir(initdb), nil
	}
	return "", errors.New("no database for the tests: install Debian's package `postgresql`, or put " +
		"`mongod` on the PATH, or set MPR_TEST_MONGODB_URI")
}

// unprivileged is who runs PostgreSQL, which refuses to be root; nil: whoever runs this.
func unprivileged() (*syscall.Credential, error) {
	if os.Getuid() != 0 {
		return nil, nil
	}
	for _, name := range []string{"postgres", "nobody"} {
		found, err := user.Lookup(name)
		if err != nil {
			continue
		}
		uid, _ := strconv.ParseUint(found.Uid, 10, 32)
		gid, _ := strconv.ParseUint(found.Gid, 10, 32)
		return &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}, nil
	}
	return nil, errors.New("PostgreSQL refuses to run as root, and there is no user `postgres` or `nobody`")
}

func (f *ferretServer) data() string { return filepath.Join(f.directory, "data") }
func (f *ferretServer) log(name string) string {
	return filepath.Join(f.directory, name+".log")
}

func (f *ferretServer) initdb() error {
	if f.credential != nil {
		if err := os.Chmod(f.directory, 0o755); err != nil {
			return err
		}
		if err := os.Chown(f.directory, int(f.credential.Uid), int(f.credential.Gid)); err != nil {
			return err
		}
	}
	command := exec.Command(filepath.Join(f.programs, "initdb"), "--pgdata", f.data(), "--no-sync",
		"--auth=trust", "--username=ferretdb", "--encoding=UTF8", "--locale=C")
	command.Dir = f.directory
	command.SysProcAttr = &syscall.SysProcAttr{Credential: f.credential}
	if output, err := command.CombinedOutput(); err != nil {
		return fmt.Errorf("initdb failed: %w: %s", err, output)
	}
	return nil
}

func (f *ferretServer) start() error {
	if err := f.startPostgres(); err != nil {
		return err
	}
	if f.plain == "" {
		addresses, err := freeAddresses(2)
		if err != nil {
			return err
		}
		f.plain, f.tls = addresses[0], addresses[1]
	}
	self, err := os.Executable()
	if err != nil {
		return err
	}
	where := url.Values{"host": {f.directory}, "user": {"ferretdb"}, "pool_max_conns": {"40"}}
	f.ferret, err = startProcess(syscall.SysProcAttr{}, f.log("ferretdb"), self, "ferretdb", "-listen", f.plain,
		"-tls", f.tls, "-cert", f.files.certificate, "-key", f.files.key,
		"-postgres", "postgres:///postgres?"+where.Encode())
	if err != nil {
		return err
	}
	return f.ferret.waitUntil(f.log("ferretdb"), func() bool {
		return listens("tcp", f.plain) && listens("tcp", f.tls)
	})
}

// What was written survives kill -9 of the server without fsync; only the machine may not fail.
// A server that was killed leaves children that hold its memory for moments: then it is tried again.
func (f *ferretServer) startPostgres() error {
	socket := filepath.Join(f.directory, ".s.PGSQL.5432")
	var err error
	for end := time.Now().Add(time.Minute); time.Now().Before(end); time.Sleep(100 * time.Millisecond) {
		_ = os.Remove(socket)
		_ = os.Remove(socket + ".lock")
		// What SIGKILL ends leaves its shared memory behind until it is started again.
		asked := syscall.SysProcAttr{Credential: f.credential, Pdeathsig: syscall.SIGQUIT}
		f.postgres, err = startProcess(asked, f.log("postgres"),
			filepath.Join(f.programs, "postgres"), "-D", f.data(), "-k", f.directory,
			"-c", "listen_addresses=", "-c", "fsync=off", "-c", "full_page_writes=off",
			"-c", "max_connections=60", "-c", "shared_buffers=64MB", "-c", "jit=off",
			// Not in /dev/shm, where every kill would leave a file.
			"-c", "dynamic_shared_memory_type=mmap")
		if err != nil {
			return err
		}
		ready := filepath.Join(f.programs, "pg_isready")
		err = f.postgres.waitUntil(f.log("postgres"), func() bool {
			return exec.Command(ready, "-q", "-h", f.directory).Run() == nil
		})
		if err == nil {
			return nil
		}
		f.postgres.kill()
	}
	return err
}

func (f *ferretServer) kill() {
	f.ferret.kill()
	f.postgres.kill()
	f.ferret, f.postgres = nil, nil
}

func (f *ferretServer) end() {
	f.ferret.kill()
	f.postgres.end(syscall.SIGQUIT)
}

func (f *ferretServer) signal(what syscall.Signal) { f.ferret.signal(what) }
func (f *ferretServer) uri() string                { return "mongodb://" + f.plain + "/" }
func (f *ferretServer) tlsURI() string {
	return "mongodb://" + f.tls + "/?tls=true&tlsCAFile=" + url.QueryEscape(f.files.authority)
}
func (f *ferretServer) kind() string { return "FerretDB over PostgreSQL" }
