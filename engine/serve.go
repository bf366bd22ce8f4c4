package engine

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"sync"
	"time"

	"github.com/tbctl/tbctl/fault"
	"github.com/tbctl/tbctl/remote"
	"github.com/tbctl/tbctl/state"
)

// releaseTimeout is how long the end of a session waits until a key is given back.
const releaseTimeout = 5 * time.Second

// Session is the program's end of a session.
type Session struct {
	Version string // of the program
	// OpenState opens the state at a place.
	OpenState func(ctx context.Context, where string) (state.Store, error)

	// Registry speaks with registries of OCI artifacts.
	Registry Registry

	// Trust finds out what the metadata of TUF repositories says.
	Trust Trust

	mu    sync.Mutex
	store state.Store
	holds map[string]chan struct{} // by id; closed to end one
	ended sync.WaitGroup
}

// Serve answers until the other end is gone, or ctx is done. Then all that was held is given back.
func (s *Session) Serve(ctx context.Context, in io.ReadCloser, out io.Writer) error {
	s.holds = make(map[string]chan struct{})
	mux := http.NewServeMux()
	for path, answer := range map[string]func(context.Context, keyRequest) (any, error){
		pathHello: func(context.Context, keyRequest) (any, error) { return hello{Protocol, s.Version}, nil },
		pathGet: s.with(func(ctx context.Context, store state.Store, k keyRequest) (any, error) {
			value, revision, err := store.Get(ctx, k.Key)
			return valueAnswer{value, revision}, err
		}),
		pathSwap: s.with(func(ctx context.Context, store state.Store, k keyRequest) (any, error) {
			revision, err := store.Swap(ctx, k.Key, k.Value, k.Revision)
			return valueAnswer{Revision: revision}, err
		}),
		pathList: s.with(func(ctx context.Context, store state.Store, k keyRequest) (any, error) {
			entries, err := store.List(ctx, k.Key)
			return listAnswer{Entries: entries}, err
		}),
		pathHolders: s.with(func(ctx context.Context, store state.Store, k keyRequest) (any, error) {
			holders, err := store.Holders(ctx, k.Key)
			return listAnswer{Holders: holders}, err
		}),
		pathRelease: s.release,
	} {
		mux.HandleFunc("POST "+path, func(w http.ResponseWriter, r *http.Request) {
			var question keyRequest
			if !read(w, r, &question) {
				return
			}
			found, err := answer(r.Context(), question)
			reply(w, found, err)
		})
	}
	mux.HandleFunc("POST "+pathOpen, func(w http.ResponseWriter, r *http.Request) {
		var question openRequest
		if read(w, r, &question) {
			reply(w, struct{}{}, s.open(r.Context(), question.Where))
		}
	})
	mux.HandleFunc("POST "+pathHold, s.hold)
	s.registry(mux)
	s.trust(mux)
	err := remote.Serve(ctx, in, out, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if _, known := mux.Handler(r); known == "" {
			reply(w, nil, fault.New(fault.Usage, "this "+Name+", "+s.Version+", does not know the request"))
			return
		}
		r.Body = http.MaxBytesReader(w, r.Body, requestSizeMax)
		mux.ServeHTTP(w, r)
	}))
	s.mu.Lock()
	store := s.store
	s.mu.Unlock()
	s.ended.Wait()
	if store != nil {
		err = errors.Join(err, store.Close())
	}
	return err
}

var errOpen = fault.New(fault.Usage, "one state is open, or none is")

func (s *Session) open(ctx context.Context, where string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.store != nil {
		return errOpen
	}
	store, err := s.OpenState(ctx, where)
	if err == nil {
		s.store = store
	}
	return err
}

func (s *Session) opened() (state.Store, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.store == nil {
		return nil, errOpen
	}
	return s.store, nil
}

func (s *Session) with(ask func(context.Context, state.Store, keyRequest) (any, error)) func(context.Context, keyRequest) (any, error) {
	return func(ctx context.Context, question keyRequest) (any, error) {
		store, err := s.opened()
		if err != nil {
			return nil, err
		}
		return ask(ctx, store, question)
	}
}

// hold holds a key for as long as somebody reads the answer.
func (s *Session) hold(w http.ResponseWriter, r *http.Request) {
	var question keyRequest
	if !read(w, r, &question) {
		return
	}
	store, err := s.opened()
	var hold *state.Hold
	if err == nil {
		hold, err = store.Hold(r.Context(), question.Key, question.Who)
	}
	if err != nil {
		reply(w, nil, err)
		return
	}
	s.ended.Add(1)
	defer s.ended.Done()
	id, end := rand.Text(), make(chan struct{})
	s.mu.Lock()
	s.holds[id] = end
	s.mu.Unlock()
	defer func() {
		s.mu.Lock()
		delete(s.holds, id)
		s.mu.Unlock()
	}()
	lines := json.NewEncoder(w)
	say := func(line holdLine) {
		if lines.Encode(line) == nil { // otherwise nobody reads it, and the request's context ends
			_ = http.NewResponseController(w).Flush()
		}
	}
	say(holdLine{ID: id, Holder: hold.Holder})
	giveBack := func() (failed string) {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(r.Context()), releaseTimeout)
		defer cancel()
		if err := hold.Release(ctx); err != nil { // then it ends with its store
			failed = err.Error()
		}
		return failed
	}
	select {
	case <-hold.Lost():
		var lost *state.LostError
		err := hold.Err()
		if errors.As(err, &lost) {
			err = lost.Err
		}
		say(holdLine{Lost: err.Error()})
	case <-end:
		say(holdLine{Released: true, Lost: giveBack()})
	case <-r.Context().Done():
		giveBack()
	}
}

// release ends a hold; that it has ended is said in the answer to it.
func (s *Session) release(_ context.Context, question keyRequest) (any, error) {
	s.mu.Lock()
	end := s.holds[question.Key]
	delete(s.holds, question.Key)
	s.mu.Unlock()
	if end != nil {
		close(end)
	}
	return struct{}{}, nil
}

// read reads a request, or answers that it is none.
func read(w http.ResponseWriter, r *http.Request, question any) bool {
	text, err := io.ReadAll(r.Body)
	if err == nil {
		err = fault.JSON(json.Unmarshal(text, question))
	}
	if err != nil {
		reply(w, nil, err)
	}
	return err == nil
}

func reply(w http.ResponseWriter, answer any, err error) {
	if err != nil {
		w.WriteHeader(http.StatusConflict)
		answer = failureOf(err)
	}
	_ = json.NewEncoder(w).Encode(answer) // who does not read it is gone
}
