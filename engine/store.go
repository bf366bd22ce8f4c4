package engine

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"path/filepath"
	"strings"
	"sync"

	"github.com/tbctl/tbctl/fault"
	"github.com/tbctl/tbctl/state"
	"github.com/tbctl/tbctl/vfs"
)

// OpenState opens the state at a place such as etcd://HOST:PORT/PREFIX. The program is the store's from then on: it ends with it.
// On an error it has ended.
func (e *Engine) OpenState(ctx context.Context, where string) (state.Store, error) {
	if err := e.ask(ctx, pathOpen, openRequest{where}, &struct{}{}); err != nil {
		_ = e.Close() // the error says what is wrong
		return nil, err
	}
	return &store{engine: e, holds: make(map[*state.Hold]context.CancelFunc)}, nil
}

// StateFiles is the place of the state of the controllers of this machine alone.
const StateFiles = "files"

// ErrPlace says that a state is neither files nor in etcd.
var ErrPlace = fault.New(fault.Usage, "neither files nor in etcd")

// OpenShared opens the state of the controllers: [StateFiles], in the directory, or etcd://…, by way of the program. Otherwise the
// error is [ErrPlace].
func OpenShared(ctx context.Context, where, dir string) (state.Store, error) {
	switch {
	case where == StateFiles:
		dir, err := filepath.Abs(dir)
		if err != nil {
			return nil, err
		}
		return state.OpenFiles(vfs.OS(), dir), nil
	case strings.HasPrefix(where, "etcd://"):
		started, err := Open(ctx)
		if err != nil {
			return nil, err
		}
		return started.OpenState(ctx, where)
	}
	return nil, fmt.Errorf("the state of the controllers is to be %q, which is %w", where, ErrPlace)
}

// ErrSilent says that the place in which the state is did not answer.
var ErrSilent = fault.New(fault.Failed, "etcd does not answer")

// store is a state that the program keeps.
type store struct {
	engine *Engine

	mu    sync.Mutex
	holds map[*state.Hold]context.CancelFunc
	once  sync.Once
}

func (s *store) Get(ctx context.Context, key string) ([]byte, int64, error) {
	var answer valueAnswer
	err := s.engine.ask(ctx, pathGet, keyRequest{Key: key}, &answer)
	if err == nil && answer.Revision == 0 {
		answer.Value = nil
	}
	return answer.Value, answer.Revision, err
}

func (s *store) Swap(ctx context.Context, key string, value []byte, revision int64) (int64, error) {
	if err := state.CheckValue(value); err != nil {
		return 0, err
	}
	var answer valueAnswer
	err := s.engine.ask(ctx, pathSwap, keyRequest{Key: key, Value: value, Revision: revision}, &answer)
	return answer.Revision, err
}

func (s *store) List(ctx context.Context, prefix string) ([]state.Entry, error) {
	var answer listAnswer
	err := s.engine.ask(ctx, pathList, keyRequest{Key: prefix}, &answer)
	return answer.Entries, err
}

func (s *store) Holders(ctx context.Context, prefix string) ([]state.Holder, error) {
	var answer listAnswer
	err := s.engine.ask(ctx, pathHolders, keyRequest{Key: prefix}, &answer)
	return answer.Holders, err
}

// Hold is one request, whose answer ends when the hold does.
func (s *store) Hold(ctx context.Context, key, who string) (*state.Hold, error) {
	if err := state.CheckKey(key); err != nil {
		return nil, err
	}
	if err := state.CheckWho(who); err != nil { // JSON would make a text of what is none
		return nil, err
	}
	lasting, cancel := context.WithCancel(context.WithoutCancel(ctx))
	stop := context.AfterFunc(ctx, cancel) // until it is held
	response, err := s.engine.send(lasting, pathHold, keyRequest{Key: key, Who: who})
	if err == nil && response.StatusCode != http.StatusOK {
		err = s.engine.ended(ctx, readAnswer(response, nil))
		response.Body.Close()
	}
	if err != nil {
		cancel()
		if ctx.Err() != nil {
			err = context.Cause(ctx)
		}
		return nil, err
	}
	lines := bufio.NewReaderSize(response.Body, lineSizeMax)
	first, err := readLine(lines)
	if !stop() || err != nil || first.ID == "" {
		cancel()
		response.Body.Close()
		if ctx.Err() != nil {
			return nil, context.Cause(ctx)
		}
		return nil, s.engine.ended(ctx, errors.Join(errors.New("the answer to a hold is none"), err))
	}
	over := make(chan struct{})
	var end holdLine
	hold := state.NewHold(first.Holder, func(ctx context.Context) error {
		defer cancel()
		if err := s.engine.ask(ctx, pathRelease, keyRequest{Key: first.ID}, &struct{}{}); err != nil {
			return err
		}
		select {
		case <-over:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
		if end.Lost != "" {
			return errors.New(end.Lost)
		}
		return nil
	})
	s.mu.Lock()
	s.holds[hold] = cancel
	s.mu.Unlock()
	go func() {
		defer response.Body.Close()
		defer close(over)
		end, err = readLine(lines)
		switch {
		case err != nil: // the program has ended, or does not answer any more
			hold.Lose(&Error{Reason: ReasonDied, Path: s.engine.path, Err: err})
		case !end.Released:
			hold.Lose(errors.New(end.Lost))
		}
		cancel()
		s.mu.Lock()
		delete(s.holds, hold)
		s.mu.Unlock()
	}()
	return hold, nil
}

func readLine(from *bufio.Reader) (line holdLine, err error) {
	text, err := from.ReadSlice('\n')
	if err == nil {
		err = json.Unmarshal(text, &line)
	}
	if errors.Is(err, io.EOF) {
		err = io.ErrUnexpectedEOF
	}
	return line, err
}

// Close ends the program, which gives back what is held.
func (s *store) Close() (err error) {
	s.once.Do(func() {
		s.mu.Lock()
		for hold := range s.holds {
			hold.Lose(state.ErrClosed)
		}
		s.mu.Unlock()
		err = s.engine.Close()
	})
	return err
}
