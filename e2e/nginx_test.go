//go:build linux

package e2e

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
)

// lastPort counts up: nobody else is in this network namespace, and the system gives
// out ports by itself only from 32768 on.
var lastPort atomic.Int32

func freePort() string { return strconv.Itoa(20000 + int(lastPort.Add(1))) }

// loopback is a free address on the loopback interface.
func loopback() string { return "127.0.0.1:" + freePort() }

// An nginx is a running nginx with an access log and a directory of files.
type nginx struct {
	t       *testing.T
	dir     string
	process *process
}

// nginxMain is what every configuration has in common. Temporary files, logs and
// files served are in the test's directory.
const nginxMain = `daemon off; master_process off; user root; pid DIR/pid; error_log DIR/error.log warn;
events { worker_connections 512; }
http {
  log_format e2e '$server_port|$request_method|$request_uri|$status|$body_bytes_sent|$http_range|$http_if_range|$http_if_none_match|$http_accept_encoding|$http_authorization|$http_user_agent|$host|$content_encoding|$server_protocol';
  map $sent_http_content_encoding $content_encoding { default $sent_http_content_encoding; }
  access_log DIR/access.log e2e;
  default_type application/octet-stream;
  client_body_temp_path DIR/t; proxy_temp_path DIR/t; fastcgi_temp_path DIR/t; uwsgi_temp_path DIR/t; scgi_temp_path DIR/t;
  root DIR/www;
CONFIG
}
`

// startNginx runs nginx with server blocks in which DIR stands for its directory. It
// ends with the test.
func startNginx(t *testing.T, config string, listens ...string) *nginx {
	t.Helper()
	require(t, "nginx")
	s := &nginx{t: t, dir: t.TempDir()}
	text := strings.ReplaceAll(strings.Replace(nginxMain, "CONFIG", config, 1), "DIR", s.dir)
	file := filepath.Join(s.dir, "nginx.conf")
	if err := os.Mkdir(filepath.Join(s.dir, "www"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	s.process = startProcess(t, exec.Command("nginx", "-p", s.dir, "-c", file), listens...)
	return s
}

// serve puts a file under a path, as of long ago, so that its date is a validator.
func (s *nginx) serve(path string, data []byte) {
	s.t.Helper()
	name := filepath.Join(s.dir, "www", path)
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		s.t.Fatal(err)
	}
	if err := os.WriteFile(name, data, 0o644); err != nil {
		s.t.Fatal(err)
	}
	longAgo(s.t, name)
}

// A request is a line of the access log.
type request struct {
	port, method, path                   string
	status                               int
	sent                                 int64 // bytes of the body
	rang, ifRange, ifNoneMatch           string
	acceptEncoding, authorization, agent string
	host, contentEncoding, protocol      string
}

// requests ends nginx, so that its log is complete, and reads it. With a prefix only
// requests to such paths are returned.
func (s *nginx) requests(prefix string) []request {
	s.t.Helper()
	s.process.stop()
	data, err := os.ReadFile(filepath.Join(s.dir, "access.log"))
	if err != nil {
		s.t.Fatal(err)
	}
	var found []request
	for line := range strings.Lines(string(data)) {
		f := strings.Split(strings.TrimSpace(line), "|")
		if len(f) != 14 {
			s.t.Fatalf("access log: %q", line)
		}
		for i := range f {
			if f[i] == "-" {
				f[i] = ""
			}
		}
		if !strings.HasPrefix(f[2], prefix) {
			continue
		}
		status, _ := strconv.Atoi(f[3])
		sent, _ := strconv.ParseInt(f[4], 10, 64)
		found = append(found, request{f[0], f[1], f[2], status, sent, f[5], f[6], f[7], f[8], f[9], f[10], f[11], f[12], f[13]})
	}
	return found
}

// to returns the requests to one path.
func to(requests []request, path string) []request {
	var found []request
	for _, r := range requests {
		if r.path == path {
			found = append(found, r)
		}
	}
	return found
}

// A process is a server that a test started.
type process struct {
	t      *testing.T
	cmd    *exec.Cmd
	ended  chan struct{}
	output *strings.Builder
	over   bool
}

// startProcess starts a server and waits until it answers at each of its addresses.
func startProcess(t *testing.T, cmd *exec.Cmd, listens ...string) *process {
	t.Helper()
	p := &process{t: t, cmd: cmd, ended: make(chan struct{}), output: &strings.Builder{}}
	cmd.Stdout, cmd.Stderr = p.output, p.output
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		_ = cmd.Wait()
		close(p.ended)
	}()
	t.Cleanup(p.stop)
	for _, address := range listens {
		eventually(t, fmt.Sprintf("%s answers at %s", cmd.Args[0], address), func() bool {
			select {
			case <-p.ended:
				t.Fatalf("%v ended: %s", cmd.Args, p.output)
			default:
			}
			connection, err := net.Dial("tcp", address)
			if err == nil {
				connection.Close()
			}
			return err == nil
		})
	}
	return p
}

// stop ends the server as its manual says, and waits for it.
func (p *process) stop() {
	if p.over {
		return
	}
	p.over = true
	_ = p.cmd.Process.Signal(syscall.SIGTERM)
	<-p.ended
}
