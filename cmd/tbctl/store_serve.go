package main

import (
	"context"
	"fmt"
	"io"
	"net"

	"github.com/tbctl/tbctl/depot/serve"
	"github.com/tbctl/tbctl/internal/render"
	"github.com/tbctl/tbctl/internal/shell"
	"github.com/tbctl/tbctl/internal/term"
	"github.com/tbctl/tbctl/report"
)

type storeServeCmd struct {
	Listen    string     `default:"127.0.0.1:3443" placeholder:"ADDR:PORT" help:"Where to listen (${default}); port 0 takes a free one, which is printed."`
	TokenFile string     `placeholder:"FILE" type:"path" help:"Ask every request for the token in this file, which nobody else may read."`
	Session   bool       `more:"" help:"End when standard input ends."`
	Store     storeFlags `embed:""`
}

// Help is the long help text.
func (c *storeServeCmd) Help() string {
	return `Gives the artifacts of the store to other hosts, over HTTP, until a signal ends it: each
by its digest at /sha256/HEX, with ranges, and at /RELEASE/ASSET with SHA256SUMS, so that
it is a mirror for "tbctl install 0.17.8 --mirror http://ADDR:PORT". Nothing can be
changed through it, and an artifact whose bytes have changed is not given. It encrypts
nothing: who reads compares digests, and a token can be seen on the way.

Examples:

  tbctl store serve --listen 10.1.0.3:3443
  tbctl store serve --listen 127.0.0.1:0 --token-file /etc/tbctl/store-token
` + exitHelp()
}

// checkListen refuses what is no address with a port, before the system says so in its words.
func checkListen(ctx context.Context, address string) error {
	_, port, err := net.SplitHostPort(address)
	if err != nil {
		return fmt.Errorf("%q is no address with a port", address)
	}
	if _, err := net.DefaultResolver.LookupPort(ctx, "tcp", port); err != nil {
		return fmt.Errorf("the port of %q is neither a number up to 65535 nor the name of a service", address)
	}
	return nil
}

// Run serves until it is ended.
func (c *storeServeCmd) Run(a *app) error {
	if err := checkListen(a.ctx, c.Listen); err != nil {
		return usage("an address of this host and a port: --listen 10.1.0.3:3443; a free port: --listen 127.0.0.1:0", "--listen: %w", err)
	}
	token := ""
	if c.TokenFile != "" {
		var err error
		if token, err = serve.ReadToken(c.TokenFile); err != nil {
			return usage("make one: (umask 077; head -c 32 /dev/urandom | base64 -w0 > "+shell.File(c.TokenFile)+")", "--token-file %s: %w", c.TokenFile, err)
		}
	}
	store, err := a.existing(c.Store.Store)
	if err != nil {
		return err
	}
	listener, err := serve.Listen(a.ctx, c.Listen)
	if err != nil {
		return failed("name an address of this host and a free port: --listen 127.0.0.1:0", err)
	}
	address := "http://" + listener.Addr().String()
	if at, ok := listener.Addr().(*net.TCPAddr); ok && token == "" && !at.IP.IsLoopback() {
		a.warn("whoever reaches %s can read the store: --token-file FILE asks for a token", address)
	}
	if a.global.JSON {
		a.compact = true
		_ = a.writeJSON(report.Serving{Version: report.Version, Command: a.command, Address: address}, "") // its error is kept by the stream
	} else {
		a.out.Printf("%s %s\n", a.out.Styles().Good.Render("serving:"), address)
	}
	ctx, end := context.WithCancel(a.ctx)
	defer end()
	if c.Session {
		go func() {
			_, _ = io.Copy(io.Discard, a.in)
			end()
		}()
	}
	server := &serve.Server{Depot: store, Token: token, Kept: serve.Kept(store), Tell: func(text string) { a.note("%s", term.Printable(text)) }}
	err = server.Serve(ctx, listener)
	result := report.StoreServed{Store: store.Dir(), Address: address, Counters: server.Counters()}
	a.emit(result, func(out *term.Stream) {
		if !a.global.Quiet {
			render.StoreServed(out, result.Counters)
		}
	})
	return err
}
