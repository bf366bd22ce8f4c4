package main

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/tbctl/tbctl/engine"
	"github.com/tbctl/tbctl/engines/oci"
	"github.com/tbctl/tbctl/fault"
	"github.com/tbctl/tbctl/internal/testbin"
	"github.com/tbctl/tbctl/multiversion"
	"github.com/tbctl/tbctl/remote"
)

// tokens is a server that lets ann do whatever she asks for, by tokens that the registry believes.
type tokens struct {
	mu     sync.Mutex
	scopes []string // that were asked for
}

// startTokens starts a registry by TLS whose tokens are given by another server.
func startTokens(t *testing.T) (*registry, *tokens) {
	t.Helper()
	given := &tokens{}
	return startRegistryAuth(t, true, func(r *registry) string {
		pair, err := tls.LoadX509KeyPair(filepath.Join(r.dir, "cert.pem"), filepath.Join(r.dir, "key.pem"))
		if err != nil {
			t.Fatal(err)
		}
		server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, request *http.Request) {
			if name, word, _ := request.BasicAuth(); name != user || word != password {
				w.WriteHeader(http.StatusUnauthorized)
				return
			}
			scopes := request.URL.Query()["scope"]
			given.mu.Lock()
			given.scopes = append(given.scopes, scopes...)
			given.mu.Unlock()
			fmt.Fprintf(w, `{"token": %q}`, signToken(t, pair, scopes))
		}))
		server.TLS = &tls.Config{Certificates: []tls.Certificate{pair}}
		server.StartTLS()
		t.Cleanup(server.Close)
		return fmt.Sprintf("  token:\n    realm: %s/token\n    service: test\n    issuer: test\n    rootcertbundle: %s/cert.pem\n", server.URL, r.dir)
	}), given
}

// signToken makes a token for scopes, such as repository:tb:pull.
func signToken(t *testing.T, pair tls.Certificate, scopes []string) string {
	access := []map[string]any{}
	for _, scope := range scopes {
		parts := strings.Split(scope, ":")
		access = append(access, map[string]any{"type": parts[0], "name": parts[1], "actions": strings.Split(parts[2], ",")})
	}
	now := time.Now().Unix()
	encode := func(value any) string {
		text, err := json.Marshal(value)
		if err != nil {
			t.Error(err)
		}
		return base64.RawURLEncoding.EncodeToString(text)
	}
	text := encode(map[string]any{"typ": "JWT", "alg": "ES256", "x5c": []string{base64.StdEncoding.EncodeToString(pair.Certificate[0])}}) + "." +
		encode(map[string]any{"iss": "test", "sub": user, "aud": "test", "exp": now + 300, "nbf": now - 10, "iat": now, "jti": rand.Text(), "access": access})
	sum := sha256.Sum256([]byte(text))
	r, s, err := ecdsa.Sign(rand.Reader, pair.PrivateKey.(*ecdsa.PrivateKey), sum[:])
	if err != nil {
		t.Error(err)
		return ""
	}
	signature := make([]byte, 64)
	r.FillBytes(signature[:32])
	s.FillBytes(signature[32:])
	return text + "." + base64.RawURLEncoding.EncodeToString(signature)
}

// ask asks a registry with a token, and returns the status and what came.
func (r *registry) ask(t *testing.T, method, url, token string) (int, []byte) {
	t.Helper()
	client := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: r.trust}}}
	request, err := http.NewRequestWithContext(t.Context(), method, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	if token != "" {
		request.Header.Set("Authorization", "Bearer "+token)
	}
	response, err := client.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	content, err := io.ReadAll(response.Body)
	if err != nil {
		t.Error(err)
	}
	return response.StatusCode, content
}

// TestLocate holds that a blob is found with a token that is good for pulling from its repository and for nothing else, and that a
// password, or a token for more, is given to nobody.
func TestLocate(t *testing.T) {
	t.Parallel()
	r, given := startTokens(t)
	known, file := r.speak(t, true), newBinary(t, linux)
	blob := engine.Blob{SHA256: file.digest, Size: int64(len(file.data))}
	for _, repository := range []string{"tb", "other"} {
		if _, err := known.Push(t.Context(), file.push(r.reference(repository, linux))); err != nil {
			t.Fatal(err)
		}
	}
	given.scopes = nil
	found, err := known.Locate(t.Context(), r.reference("tb", linux), blob)
	if want := "https://" + r.address + "/v2/tb/blobs/sha256:" + file.digest; err != nil || found.URL != want || found.Token == "" {
		t.Fatalf("%+v, %v", found, err)
	}
	if strings.Join(given.scopes, " ") != "repository:tb:pull" {
		t.Errorf("it asked for a token for %q", given.scopes)
	}
	if status, content := r.ask(t, http.MethodGet, found.URL, found.Token); status != http.StatusOK || !bytes.Equal(content, file.data) {
		t.Errorf("with the token: status %d, %d bytes", status, len(content))
	}
	for name, try := range map[string][2]string{
		"without it":         {http.MethodGet, found.URL},
		"another repository": {http.MethodGet, strings.Replace(found.URL, "/tb/", "/other/", 1)},
		"a push":             {http.MethodPost, "https://" + r.address + "/v2/tb/blobs/uploads/"},
		"the catalogue":      {http.MethodGet, "https://" + r.address + "/v2/_catalog"},
	} {
		token := found.Token
		if name == "without it" {
			token = ""
		}
		if status, _ := r.ask(t, try[0], try[1], token); status != http.StatusUnauthorized {
			t.Errorf("%s: status %d", name, status)
		}
	}
	fails := func(name string, by *engine.Engine, ref engine.Reference, blob engine.Blob, class fault.Class, want error) {
		if found, err := by.Locate(t.Context(), ref, blob); err == nil || fault.Of(err) != class || !strings.Contains(err.Error(), want.Error()) || found != (engine.Located{}) {
			t.Errorf("%s: %+v, %v", name, found, err)
		}
	}
	fails("nobody's", r.speak(t, false), r.reference("tb", linux), blob, fault.Failed, engine.ErrOCIDenied)
	fails("a tag", known, r.reference("tb:0.17.8", linux), blob, fault.Usage, engine.ErrOCIReference)
	fails("no such blob", known, r.reference("tb", linux), engine.Blob{SHA256: strings.Repeat("a", 64), Size: 1}, fault.Failed, engine.ErrOCIMissing)
	fails("another size", known, r.reference("tb", linux), engine.Blob{SHA256: file.digest, Size: 1}, fault.Rejected, engine.ErrOCI)
	r.write(t, "login/config.json", fmt.Sprintf(`{"auths": {%q: {"registrytoken": %q}}}`, r.address, found.Token))
	fails("a token of its own", r.speak(t, true), r.reference("tb", linux), blob, fault.Failed, oci.ErrPasswords)

	passwords := startRegistry(t, false)
	if _, err := passwords.speak(t, true).Push(t.Context(), file.push(passwords.reference("tb", linux))); err != nil {
		t.Fatal(err)
	}
	fails("passwords", passwords.speak(t, true), passwords.reference("tb", linux), blob, fault.Failed, oci.ErrPasswords)

	open := startRegistryAuth(t, false, func(*registry) string { return "" })
	if _, err := open.speak(t, false).Push(t.Context(), file.push(open.reference("tb", linux))); err != nil {
		t.Fatal(err)
	}
	if found, err := open.speak(t, false).Locate(t.Context(), open.reference("tb", linux), blob); err != nil || found.Token != "" || !strings.HasPrefix(found.URL, "http://"+open.address+"/") {
		t.Errorf("%+v, %v", found, err)
	}
}

// builtIn is the directory that tbctl is in; "": it was not built.
var builtIn string

// buildTbctl builds tbctl, once.
var buildTbctl = sync.OnceValues(func() (string, error) {
	dir, err := os.MkdirTemp("", "tbctl-engines-test-")
	builtIn = dir
	if err != nil {
		return "", err
	}
	path := filepath.Join(dir, "tbctl")
	output, err := exec.Command("go", "build", "-C", "../..", "-trimpath", "-o", path, "./cmd/tbctl").CombinedOutput()
	if err != nil {
		err = fmt.Errorf("%w: %s", err, output)
	}
	return path, err
})

// startHost starts tbctl host with a file at its target and settings of its own.
func startHost(t *testing.T, installed []byte, settings string) (*remote.Session, string) {
	t.Helper()
	program, err := buildTbctl()
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	target := filepath.Join(dir, "tigerbeetle")
	testbin.WriteFile(t, target, installed)
	config := filepath.Join(dir, "config.toml")
	if err := os.WriteFile(config, fmt.Appendf(nil, "target = %q\nstore = %q\nstate-dir = %q\n%s", target, dir+"/store", dir+"/state", settings), 0o600); err != nil {
		t.Fatal(err)
	}
	session, err := remote.Start(t.Context(), "host", []string{"env", "TBCTL_CONFIG=" + config, program, "host"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { session.Close() })
	return session, dir
}

// TestHostFetches holds that a host with tbctl alone fetches what it lacks of a blob from a registry that its own configuration names and
// whose authority it trusts, by a token that is in none of its files, and refuses a blob that was changed there.
func TestHostFetches(t *testing.T) {
	t.Parallel()
	r, _ := startTokens(t)
	before := testbin.Build(t, testbin.Spec{Platform: linux, Current: multiversion.NewRelease(0, 17, 7), Past: testbin.PastOf("0.17.5", "0.17.6")})
	file := &binary{path: filepath.Join(t.TempDir(), "tigerbeetle"), data: testbin.Build(t, testbin.Spec{Platform: linux, Current: multiversion.NewRelease(0, 17, 8), From: before})}
	testbin.WriteFile(t, file.path, file.data)
	file.digest = fmt.Sprintf("%x", sha256.Sum256(file.data))
	known := r.speak(t, true)
	if _, err := known.Push(t.Context(), file.push(r.reference("tb", linux))); err != nil {
		t.Fatal(err)
	}
	found, err := known.Locate(t.Context(), r.reference("tb", linux), engine.Blob{SHA256: file.digest, Size: int64(len(file.data))})
	if err != nil {
		t.Fatal(err)
	}
	request := remote.CopyRequest{Artifact: file.digest, Size: int64(len(file.data)), URL: found.URL, Token: found.Token}
	trusts := fmt.Sprintf("registries = [%q]\nca-file = %q\n", "https://"+r.address, r.ca)

	for name, tc := range map[string]struct {
		settings, token string
		class           fault.Class
		says            string
	}{
		"not named":          {fmt.Sprintf("ca-file = %q\n", r.ca), found.Token, fault.Refused, "registries = "},
		"of no known origin": {fmt.Sprintf("registries = [%q]\n", "https://"+r.address), found.Token, fault.Failed, "certificate"},
		"no token":           {trusts, "", fault.Failed, "401"},
	} {
		host, _ := startHost(t, before, tc.settings)
		asked := request
		asked.Token = tc.token
		if _, err := host.Copy(t.Context(), asked); fault.Of(err) != tc.class || !strings.Contains(err.Error(), tc.says) {
			t.Errorf("%s: %v", name, err)
		}
	}

	host, dir := startHost(t, before, trusts)
	answer, err := host.Copy(t.Context(), request)
	if err != nil || answer.How != remote.HowParts || answer.There == 0 || answer.Came == 0 || answer.Came > int64(len(file.data))*3/4 {
		t.Fatalf("%+v, %v", answer, err)
	}
	t.Logf("%d of %d bytes came, %d were there", answer.Came, len(file.data), answer.There)
	if got, err := os.ReadFile(filepath.Join(dir, "store", "sha256", file.digest)); err != nil || !bytes.Equal(got, file.data) {
		t.Errorf("%d bytes in the store, %v", len(got), err)
	}
	files := 0
	err = filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || !entry.Type().IsRegular() {
			return err
		}
		files++
		if text, err := os.ReadFile(path); err != nil || bytes.Contains(text, []byte(found.Token)) {
			t.Errorf("%s has the token, %v", path, err)
		}
		return nil
	})
	if err != nil || files < 3 {
		t.Errorf("%d files, %v", files, err)
	}

	changed := bytes.Clone(file.data)
	changed[len(changed)/2] ^= 1
	r.write(t, "data/docker/registry/v2/blobs/sha256/"+file.digest[:2]+"/"+file.digest+"/data", string(changed))
	host, dir = startHost(t, before[:0], trusts)
	if _, err := host.Copy(t.Context(), request); fault.Of(err) != fault.Rejected || !strings.Contains(err.Error(), file.digest) {
		t.Errorf("a blob that was changed: %v", err)
	}
	if left, _ := filepath.Glob(filepath.Join(dir, "store", "sha256", "[0-9a-f]*")); len(left) != 0 {
		t.Errorf("stored: %q", left)
	}
}
