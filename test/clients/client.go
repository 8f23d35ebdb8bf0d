// The Go clients of test/clients/run.
//
// Usage: client LIBRARY PROTOCOL URL CASE [number ...]
//
// LIBRARY is net/http or x/net; PROTOCOL is h1 or h2.  The cases and what is
// printed for them stand in test/clients/run.
package main

import (
	"bytes"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strconv"
	"strings"
	"time"

	"golang.org/x/net/http2"
)

const period = 65521

var patience = 240 * time.Second

func fail(problem error) {
	if problem != nil {
		fmt.Println(problem)
		os.Exit(1)
	}
}

func text(n int) []byte {
	all := make([]byte, n)
	for i := range all {
		at := i % period
		all[i] = byte(at*7 + at/251)
	}
	return all
}

func secure() *tls.Config {
	pem, err := os.ReadFile(os.Getenv("LHTTPD_CA"))
	fail(err)
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(pem)
	return &tls.Config{RootCAs: pool}
}

func transport(library, protocol, url string) http.RoundTripper {
	if library == "x/net" {
		t := &http2.Transport{TLSClientConfig: secure()}
		if !strings.HasPrefix(url, "https") {
			t.AllowHTTP = true
			t.DialTLS = func(network, addr string, _ *tls.Config) (net.Conn,
				error) {
				return net.DialTimeout(network, addr, patience)
			}
		}
		return t
	}
	return &http.Transport{TLSClientConfig: secure(),
		ForceAttemptHTTP2: protocol == "h2"}
}

type client struct {
	http.Client
	url string
}

// ask returns the status and the body, which it reads piece octets at a time.
func (c *client) ask(method, path string, body []byte, piece int) (int,
	[]byte) {
	var data io.Reader
	if body != nil {
		data = bytes.NewReader(body)
	}
	request, err := http.NewRequest(method, c.url+path, data)
	fail(err)
	response, err := c.Do(request)
	fail(err)
	defer response.Body.Close()
	var all bytes.Buffer
	buffer := make([]byte, piece)
	for {
		n, err := response.Body.Read(buffer)
		all.Write(buffer[:n])
		if err == io.EOF {
			return response.StatusCode, all.Bytes()
		}
		fail(err)
	}
}

func (c *client) download(path string, piece int) {
	status, body := c.ask("GET", path, nil, piece)
	fmt.Printf("%d %d %x\n", status, len(body), sha256.Sum256(body))
}

func (c *client) send(path string, n int) {
	status, body := c.ask("POST", path, text(n), 4096)
	fmt.Println(status, strings.TrimSpace(string(body)))
}

func (c *client) keep(n int) {
	seen := map[string]bool{}
	status := 0
	for i := 0; i < n; i++ {
		s, body := c.ask("GET", "/connection", nil, 4096)
		status = s
		seen[string(body)] = true
	}
	fmt.Println(status, len(seen), "connection")
}

func (c *client) idle(ms int) {
	before, _ := c.ask("GET", "/connection", nil, 4096)
	time.Sleep(time.Duration(ms) * time.Millisecond)
	after, _ := c.ask("GET", "/connection", nil, 4096)
	fmt.Println(before, after)
}

func main() {
	library, protocol, url, name := os.Args[1], os.Args[2], os.Args[3],
		os.Args[4]
	numbers := []int{0, 4096}
	for i, word := range os.Args[5:] {
		n, err := strconv.Atoi(word)
		fail(err)
		numbers[i] = n
	}
	c := &client{http.Client{Transport: transport(library, protocol, url),
		Timeout: 10 * patience}, url}
	a, b := numbers[0], numbers[1]
	switch name {
	case "get":
		c.download(fmt.Sprintf("/bytes?n=%d&length=1", a), b)
	case "chunked":
		c.download(fmt.Sprintf("/bytes?n=%d&piece=%d", a, b), b)
	case "put":
		c.send("/upload", a)
	case "refuse":
		c.send("/refuse", a)
	case "keep":
		c.keep(a)
	case "idle":
		c.idle(a)
	default:
		fail(fmt.Errorf("no case %s", name))
	}
}
