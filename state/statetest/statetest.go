// Package statetest tests that a [state.Store] keeps its rules.
package statetest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/tbctl/tbctl/fault"
	"github.com/tbctl/tbctl/state"
)

// Run tests a store. open makes a new state with nothing in it, and returns what opens it, each time as a process of its own would. Run closes
// what it opens.
func Run(t *testing.T, open func(t *testing.T) func() state.Store) {
	for name, test := range map[string]func(*testing.T, func() state.Store){
		"values": values, "revisions": revisions, "counter": counter, "list": list, "names": names, "sizes": sizes,
		"hold": hold, "close": closing, "apart": apart, "cancelled": cancelled,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			again := open(t)
			test(t, func() state.Store {
				store := again()
				t.Cleanup(func() {
					if err := store.Close(); err != nil {
						t.Errorf("close: %v", err)
					}
				})
				return store
			})
		})
	}
}

func get(t *testing.T, s state.Store, key string) ([]byte, int64) {
	t.Helper()
	value, revision, err := s.Get(t.Context(), key)
	if err != nil {
		t.Fatalf("get %s: %v", key, err)
	}
	return value, revision
}

func swap(t *testing.T, s state.Store, key, value string, revision int64) int64 {
	t.Helper()
	next, err := s.Swap(t.Context(), key, []byte(value), revision)
	if err != nil {
		t.Fatalf("swap %s: %v", key, err)
	}
	return next
}

func values(t *testing.T, open func() state.Store) {
	one, other := open(), open()
	if value, revision := get(t, one, "a"); value != nil || revision != 0 {
		t.Errorf("a key that is not there: %q, revision %d", value, revision)
	}
	for _, text := range []string{"one", "", "\x00\xff\n\n", "tbctl-state 1 7\nx", strings.Repeat("v", state.ValueSizeMax)} {
		_, before := get(t, other, "a")
		next := swap(t, one, "a", text, before)
		value, revision := get(t, other, "a")
		if string(value) != text || revision != next || next <= before {
			t.Errorf("wrote %.20q at %d as %d, read %.20q, revision %d", text, before, next, value, revision)
		}
	}
}

func revisions(t *testing.T, open func() state.Store) {
	one, other := open(), open()
	first := swap(t, one, "a", "1", 0)
	second := swap(t, other, "a", "2", first)
	for _, stale := range []int64{0, first, second + 1, -1} {
		next, err := one.Swap(t.Context(), "a", []byte("x"), stale)
		if !errors.Is(err, state.ErrStale) || fault.Of(err) != fault.Busy || next != 0 {
			t.Errorf("swap at revision %d of %d: %d, %v", stale, second, next, err)
		}
	}
	if _, err := one.Swap(t.Context(), "b", []byte("x"), second); !errors.Is(err, state.ErrStale) {
		t.Errorf("swap of what is not there: %v", err)
	}
	if value, revision := get(t, one, "a"); string(value) != "2" || revision != second {
		t.Errorf("after stale swaps: %q, revision %d", value, revision)
	}
}

// counter takes numbers by many at once: each number goes to one.
func counter(t *testing.T, open func() state.Store) {
	const takers, each = 4, 5
	var mu sync.Mutex
	var all sync.WaitGroup
	taken := map[int]int{}
	for range takers {
		store := open()
		all.Go(func() {
			for range each {
				for {
					value, revision, err := store.Get(t.Context(), "generation")
					if err != nil {
						t.Error(err)
						return
					}
					number, _ := strconv.Atoi(string(value))
					_, err = store.Swap(t.Context(), "generation", []byte(strconv.Itoa(number+1)), revision)
					if errors.Is(err, state.ErrStale) {
						continue
					}
					if err != nil {
						t.Error(err)
						return
					}
					mu.Lock()
					taken[number+1]++
					mu.Unlock()
					break
				}
			}
		})
	}
	all.Wait()
	for number := 1; number <= takers*each; number++ {
		if taken[number] != 1 {
			t.Errorf("number %d was taken %d times", number, taken[number])
		}
	}
}

func list(t *testing.T, open func() state.Store) {
	one, other := open(), open()
	keys := []string{"a", "a-b", "a/0", "a/b/c", "ab", "b"}
	for _, key := range []string{"b", "a/b/c", "a", "ab", "a/0", "a-b"} {
		swap(t, one, key, "of "+key, 0)
	}
	for prefix, want := range map[string][]string{"": keys, "a": keys[:5], "a/": keys[2:4], "a/b": keys[3:4], "c": nil, "/": nil} {
		entries, err := other.List(t.Context(), prefix)
		var got []string
		for _, entry := range entries {
			got = append(got, entry.Key)
			if value, revision := get(t, one, entry.Key); string(entry.Value) != "of "+entry.Key || !bytes.Equal(value, entry.Value) || revision != entry.Revision {
				t.Errorf("listed %+v, read %q, revision %d", entry, value, revision)
			}
		}
		if err != nil || !slices.Equal(got, want) {
			t.Errorf("list %q: %q, want %q; %v", prefix, got, want, err)
		}
	}
}

func names(t *testing.T, open func() state.Store) {
	store, ctx := open(), t.Context()
	refused := func(what, key string, err error) {
		if !errors.Is(err, state.ErrKey) || fault.Of(err) != fault.Usage {
			t.Errorf("%s %q: %v", what, key, err)
		}
	}
	for _, key := range []string{"", "/", "/a", "a/", "a//b", "..", "a/..", "../a", ".a", "-a", "A", "a b", "a\n", "a\x00", "ü", "a=b", `a\b`, strings.Repeat("a", state.KeySizeMax+1)} {
		_, _, err := store.Get(ctx, key)
		refused("get", key, err)
		_, err = store.Swap(ctx, key, nil, 0)
		refused("swap", key, err)
		_, err = store.Hold(ctx, key, "ann@host")
		refused("hold", key, err)
	}
	for _, prefix := range []string{"A", "a b", "a\x00", strings.Repeat("a", state.KeySizeMax+1)} {
		_, err := store.List(ctx, prefix)
		refused("list", prefix, err)
		_, err = store.Holders(ctx, prefix)
		refused("holders", prefix, err)
	}
	longest := strings.Repeat("a/", state.KeySizeMax/2-1) + "b1"
	swap(t, store, longest, "x", 0)
	if value, _ := get(t, store, longest); string(value) != "x" {
		t.Errorf("the longest key: %q", value)
	}
}

func sizes(t *testing.T, open func() state.Store) {
	store := open()
	if _, err := store.Swap(t.Context(), "a", make([]byte, state.ValueSizeMax+1), 0); !errors.Is(err, state.ErrValue) {
		t.Errorf("a large value: %v", err)
	}
	if value, revision := get(t, store, "a"); value != nil || revision != 0 {
		t.Errorf("it was written: %d bytes, revision %d", len(value), revision)
	}
	for _, who := range []string{"", "\xff", strings.Repeat("w", state.WhoSizeMax+1)} {
		if _, err := store.Hold(t.Context(), "a", who); !errors.Is(err, state.ErrValue) {
			t.Errorf("hold by %.20q: %v", who, err)
		}
	}
}

func held(t *testing.T, s state.Store, prefix string) string {
	t.Helper()
	holders, err := s.Holders(t.Context(), prefix)
	if err != nil {
		t.Fatal(err)
	}
	text := ""
	for _, holder := range holders {
		text += fmt.Sprintf("%s:%s ", holder.Key, holder.Who)
		if holder.Since.IsZero() {
			t.Errorf("%+v", holder)
		}
	}
	return strings.TrimSpace(text)
}

func hold(t *testing.T, open func() state.Store) {
	one, other, ctx := open(), open(), t.Context()
	if found := held(t, one, ""); found != "" {
		t.Errorf("held by %s", found)
	}
	hold, err := one.Hold(ctx, "clusters/7", "ann@a")
	if err != nil {
		t.Fatal(err)
	}
	for _, store := range []state.Store{one, other} {
		_, err := store.Hold(ctx, "clusters/7", "bob@b")
		refused, is := errors.AsType[*state.HeldError](err)
		if !is || fault.Of(err) != fault.Fenced || refused.Holder.Who != "ann@a" || !refused.Holder.Since.Equal(hold.Holder.Since) || refused.Holder.Key != "clusters/7" {
			t.Errorf("held twice: %v", err)
		}
		if found := held(t, store, ""); found != "clusters/7:ann@a" {
			t.Errorf("held by %s", found)
		}
	}
	second, err := other.Hold(ctx, "clusters/8", "bob@b")
	if err != nil {
		t.Fatal(err)
	}
	if found := held(t, one, "clusters/") + ", " + held(t, one, "clusters/8") + ", " + held(t, one, "d"); found != "clusters/7:ann@a clusters/8:bob@b, clusters/8:bob@b, " {
		t.Errorf("held by %s", found)
	}
	for range 2 {
		if err := hold.Release(ctx); err != nil {
			t.Fatal(err)
		}
	}
	third, err := other.Hold(ctx, "clusters/7", "bob@b")
	if err != nil {
		t.Fatalf("after it was given back: %v", err)
	}
	for _, each := range []*state.Hold{hold, second, third} {
		select {
		case <-each.Lost():
			t.Errorf("%s is lost: %v", each.Holder.Key, each.Err())
		default:
		}
		if err := each.Release(ctx); err != nil {
			t.Error(err)
		}
	}
	if found := held(t, one, ""); found != "" {
		t.Errorf("held by %s", found)
	}
}

// closing ends a store with its holds.
func closing(t *testing.T, open func() state.Store) {
	one, other := open(), open()
	hold, err := one.Hold(t.Context(), "a", "ann@a")
	if err != nil {
		t.Fatal(err)
	}
	if err := one.Close(); err != nil {
		t.Fatal(err)
	}
	<-hold.Lost()
	var lost *state.LostError
	if err := hold.Err(); !errors.As(err, &lost) || lost.Key != "a" || fault.Of(err) != fault.Fenced {
		t.Errorf("lost by %v", err)
	}
	if _, err := other.Hold(t.Context(), "a", "bob@b"); err != nil {
		t.Errorf("after it was closed: %v", err)
	}
}

// apart are values and holds of one key.
func apart(t *testing.T, open func() state.Store) {
	store := open()
	if _, err := store.Hold(t.Context(), "a", "ann@a"); err != nil {
		t.Fatal(err)
	}
	if value, revision := get(t, store, "a"); value != nil || revision != 0 {
		t.Errorf("a hold is a value: %q, revision %d", value, revision)
	}
	swap(t, store, "a", "1", 0)
	entries, err := store.List(t.Context(), "")
	if err != nil || len(entries) != 1 || held(t, store, "") != "a:ann@a" {
		t.Errorf("%+v, %v", entries, err)
	}
}

func cancelled(t *testing.T, open func() state.Store) {
	store := open()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, _, getErr := store.Get(ctx, "a")
	_, swapErr := store.Swap(ctx, "a", nil, 0)
	_, listErr := store.List(ctx, "")
	_, holdErr := store.Hold(ctx, "a", "ann@a")
	_, holdersErr := store.Holders(ctx, "")
	for i, err := range []error{getErr, swapErr, listErr, holdErr, holdersErr} {
		if !errors.Is(err, context.Canceled) || fault.Of(err) != fault.Interrupted {
			t.Errorf("call %d: %v", i, err)
		}
	}
	if _, revision := get(t, store, "a"); revision != 0 {
		t.Error("it was written")
	}
}
