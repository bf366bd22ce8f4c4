module github.com/tbctl/tbctl/e2e

go 1.26.0

require github.com/tbctl/tbctl v0.0.0

require (
	aead.dev/minisign v0.3.0 // indirect
	github.com/cenkalti/backoff/v5 v5.0.3 // indirect
	github.com/klauspost/compress v1.20.3 // indirect
	golang.org/x/crypto v0.13.0 // indirect
	golang.org/x/sys v0.49.0 // indirect
)

replace github.com/tbctl/tbctl => ..
