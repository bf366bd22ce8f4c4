package etcd

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/zap"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/grpclog"
	"google.golang.org/grpc/status"

	"github.com/tbctl/tbctl/engine"
	"github.com/tbctl/tbctl/state"
)

const (
	leaseSeconds = 10
	// answerMax is how long etcd has to answer.
	answerMax = 10 * time.Second
	// tryMax is how long one member has, where another one may be asked as well.
	tryMax    = 3 * time.Second
	againWait = 200 * time.Millisecond

	keepAliveTime    = 5 * time.Second // etcd refuses a shorter one
	keepAliveTimeout = 2 * time.Second
	messageSizeMax   = 16 << 20
)

// Store is a [state.Store] in etcd.
type Store struct {
	client *clientv3.Client
	prefix string

	ctx    context.Context // of the leases
	cancel context.CancelFunc

	mu    sync.Mutex
	holds map[*state.Hold]func(context.Context) error
}

// Open connects, and asks once. Of several endpoints one that answers is enough.
func Open(ctx context.Context, place *Place) (*Store, error) {
	grpclog.SetLoggerV2(grpclog.NewLoggerV2(discard{}, discard{}, discard{})) // errors say it
	dial, stop := context.WithCancel(context.Background())
	client, err := clientv3.New(clientv3.Config{
		Endpoints: place.Endpoints, Username: place.User, Password: place.Password, TLS: place.TLS, Context: dial, Logger: zap.NewNop(),
		DialTimeout: answerMax, DialKeepAliveTime: keepAliveTime, DialKeepAliveTimeout: keepAliveTimeout, PermitWithoutStream: true,
		MaxCallRecvMsgSize: messageSizeMax,
	})
	if err != nil {
		stop()
		return nil, explain("connect with etcd", err)
	}
	s := &Store{client: client, prefix: place.Prefix + "/", holds: make(map[*state.Hold]func(context.Context) error)}
	s.ctx, s.cancel = dial, stop
	if _, _, err := s.get(ctx, "generation"); err != nil {
		s.Close()
		if err = explain("connect with etcd", err); errors.Is(err, engine.ErrSilent) {
			err = fmt.Errorf("%w: %s", err, place.look(ctx))
		}
		return nil, err
	}
	return s, nil
}

type discard struct{}

func (discard) Write(b []byte) (int, error) { return len(b), nil }

func (s *Store) value(key string) string { return s.prefix + "values/" + key }
func (s *Store) held(key string) string  { return s.prefix + "holds/" + key }

// ask asks, and another member where one does not answer, until [answerMax] has passed: what is asked may be done twice.
func ask[T any](ctx context.Context, what func(context.Context) (T, error)) (answer T, err error) {
	return asked(ctx, tryMax, what)
}

// askOnce is ask for what may not be done twice: it asks again only where a member answers that it had no leader, and so did nothing.
func askOnce[T any](ctx context.Context, what func(context.Context) (T, error)) (answer T, err error) {
	return asked(ctx, answerMax, what)
}

func asked[T any](ctx context.Context, tryMax time.Duration, what func(context.Context) (T, error)) (answer T, err error) {
	ctx, cancel := context.WithTimeoutCause(ctx, answerMax, engine.ErrSilent)
	defer cancel()
	for {
		try, end := context.WithTimeout(ctx, tryMax)
		answer, err = what(clientv3.WithRequireLeader(try))
		slow := try.Err() != nil
		end()
		if err == nil {
			return answer, nil
		}
		if ctx.Err() != nil {
			return answer, context.Cause(ctx)
		}
		if !slow && !errors.Is(err, rpctypes.ErrNoLeader) && !errors.Is(err, rpctypes.ErrGRPCNoLeader) {
			return answer, err
		}
		timer := time.NewTimer(againWait)
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return answer, fmt.Errorf("%w: the member that answers has no leader", context.Cause(ctx))
		}
	}
}

// explain says what was to be done, and what hindered it.
func explain(what string, err error) error {
	if err == nil {
		return nil
	}
	if _, held := errors.AsType[*state.HeldError](err); held || errors.Is(err, state.ErrKey) {
		return err
	}
	if errors.Is(err, context.DeadlineExceeded) || status.Code(err) == codes.DeadlineExceeded || status.Code(err) == codes.Unavailable {
		err = fmt.Errorf("%w: %s", engine.ErrSilent, status.Convert(err).Message())
	}
	return fmt.Errorf("%s: %w", what, err)
}

// Get implements [state.Store].
func (s *Store) Get(ctx context.Context, key string) (value []byte, revision int64, err error) {
	if err = state.CheckKey(key); err == nil {
		value, revision, err = s.get(ctx, key)
	}
	return value, revision, explain("state: look up "+key, err)
}

func (s *Store) get(ctx context.Context, key string) ([]byte, int64, error) {
	answer, err := ask(ctx, func(ctx context.Context) (*clientv3.GetResponse, error) { return s.client.Get(ctx, s.value(key)) })
	if err != nil || len(answer.Kvs) == 0 {
		return nil, 0, err
	}
	return answer.Kvs[0].Value, answer.Kvs[0].ModRevision, state.CheckValue(answer.Kvs[0].Value)
}

// Swap implements [state.Store].
func (s *Store) Swap(ctx context.Context, key string, value []byte, revision int64) (next int64, err error) {
	if err = state.CheckKey(key); err == nil {
		err = state.CheckValue(value)
	}
	if err == nil && revision == 0 {
		err = s.room(ctx, s.value(""))
	}
	if err == nil {
		next, err = s.swap(ctx, s.value(key), string(value), revision)
	}
	return next, explain("state: write "+key, err)
}

func (s *Store) swap(ctx context.Context, key, value string, revision int64, options ...clientv3.OpOption) (int64, error) {
	answer, err := askOnce(ctx, func(ctx context.Context) (*clientv3.TxnResponse, error) {
		return s.client.Txn(ctx).If(clientv3.Compare(clientv3.ModRevision(key), "=", revision)).Then(clientv3.OpPut(key, value, options...)).Commit()
	})
	if err == nil && !answer.Succeeded {
		err = state.ErrStale
	}
	if err != nil {
		return 0, err
	}
	return answer.Header.Revision, nil
}

// room refuses one key more than there may be.
func (s *Store) room(ctx context.Context, prefix string) error {
	answer, err := ask(ctx, func(ctx context.Context) (*clientv3.GetResponse, error) {
		return s.client.Get(ctx, prefix, clientv3.WithPrefix(), clientv3.WithCountOnly())
	})
	if err == nil && answer.Count >= state.KeysMax {
		err = fmt.Errorf("%w: %d", state.ErrTooMany, answer.Count)
	}
	return err
}

// each calls what for each key that begins with a text, in order. A key that is none of ours is passed over.
func (s *Store) each(ctx context.Context, below, prefix string, what func(key string, value []byte, revision int64) error) error {
	answer, err := ask(ctx, func(ctx context.Context) (*clientv3.GetResponse, error) {
		return s.client.Get(ctx, below+prefix, clientv3.WithPrefix(), clientv3.WithLimit(state.KeysMax+1), clientv3.WithSort(clientv3.SortByKey, clientv3.SortAscend))
	})
	if err != nil {
		return err
	}
	if len(answer.Kvs) > state.KeysMax {
		return fmt.Errorf("%w: more than %d", state.ErrTooMany, state.KeysMax)
	}
	for _, found := range answer.Kvs {
		key := strings.TrimPrefix(string(found.Key), below)
		if state.CheckKey(key) != nil {
			continue
		}
		if err := what(key, found.Value, found.ModRevision); err != nil {
			return err
		}
	}
	return nil
}

// List implements [state.Store].
func (s *Store) List(ctx context.Context, prefix string) (entries []state.Entry, err error) {
	if err = state.CheckPrefix(prefix); err == nil {
		err = s.each(ctx, s.value(""), prefix, func(key string, value []byte, revision int64) error {
			entries = append(entries, state.Entry{Key: key, Value: value, Revision: revision})
			return state.CheckValue(value)
		})
	}
	return entries, explain("state: list "+prefix, err)
}

// holder is what the key of a hold says.
type holder struct {
	Who   string    `json:"who"`
	Since time.Time `json:"since"`
}

func readHolder(key string, value []byte) (state.Holder, error) {
	var found holder
	if len(value) > 4<<10 || json.Unmarshal(value, &found) != nil || state.CheckWho(found.Who) != nil {
		return state.Holder{Key: key}, fmt.Errorf("who holds %s: %w", key, state.ErrDamaged)
	}
	return state.Holder{Key: key, Who: found.Who, Since: found.Since}, nil
}

// Holders implements [state.Store].
func (s *Store) Holders(ctx context.Context, prefix string) (holders []state.Holder, err error) {
	if err = state.CheckPrefix(prefix); err == nil {
		err = s.each(ctx, s.held(""), prefix, func(key string, value []byte, _ int64) error {
			found, err := readHolder(key, value)
			holders = append(holders, found)
			return err
		})
	}
	return holders, explain("state: list the holders of "+prefix, err)
}

// errUnconfirmed is why a hold is lost.
var errUnconfirmed = fmt.Errorf("etcd has not confirmed its lease for %d s, or has ended it", leaseSeconds)

// Hold implements [state.Store]. The key is free again [leaseSeconds] after its holder was heard for the last time, and until then the holder
// has found out too: it counts from before its last question.
func (s *Store) Hold(ctx context.Context, key, who string) (hold *state.Hold, err error) {
	if err = state.CheckKey(key); err == nil {
		err = state.CheckWho(who)
	}
	if err == nil {
		err = s.room(ctx, s.held(""))
	}
	if err == nil {
		hold, err = s.hold(ctx, key, who)
	}
	return hold, explain("state: hold "+key, err)
}

func (s *Store) hold(ctx context.Context, key, who string) (*state.Hold, error) {
	since := time.Now().UTC().Truncate(time.Second)
	text, err := json.Marshal(holder{who, since})
	if err != nil {
		return nil, err
	}
	lease, err := ask(ctx, func(ctx context.Context) (*clientv3.LeaseGrantResponse, error) {
		return s.client.Grant(ctx, leaseSeconds)
	})
	if err != nil {
		return nil, err
	}
	end := func(ctx context.Context) error {
		_, err := ask(ctx, func(ctx context.Context) (*clientv3.LeaseRevokeResponse, error) {
			return s.client.Revoke(ctx, lease.ID)
		})
		if errors.Is(err, rpctypes.ErrLeaseNotFound) {
			err = nil
		}
		return err
	}
	_, err = s.swap(ctx, s.held(key), string(text), 0, clientv3.WithLease(lease.ID))
	if err != nil {
		_ = end(context.WithoutCancel(ctx)) // it ends by itself
		if errors.Is(err, state.ErrStale) {
			err = s.whoHolds(ctx, key)
		}
		return nil, err
	}
	alive, stop := context.WithCancel(s.ctx)
	answers, err := s.client.KeepAlive(alive, lease.ID)
	if err != nil {
		stop()
		return nil, errors.Join(err, end(context.WithoutCancel(ctx)))
	}
	var hold *state.Hold
	release := func(ctx context.Context) error {
		stop()
		s.mu.Lock()
		delete(s.holds, hold)
		s.mu.Unlock()
		return explain("state: give back "+key, end(ctx))
	}
	hold = state.NewHold(state.Holder{Key: key, Who: who, Since: since}, release)
	s.mu.Lock()
	s.holds[hold] = release
	s.mu.Unlock()
	go func() {
		for range answers { // closed when no answer came for as long as the lease lasts
		}
		hold.Lose(errUnconfirmed)
		s.mu.Lock()
		delete(s.holds, hold)
		s.mu.Unlock()
		stop()
	}()
	return hold, nil
}

// whoHolds is the error of a key that is held.
func (s *Store) whoHolds(ctx context.Context, key string) error {
	answer, err := ask(ctx, func(ctx context.Context) (*clientv3.GetResponse, error) { return s.client.Get(ctx, s.held(key)) })
	if err != nil {
		return err
	}
	found := state.Holder{Key: key}
	if len(answer.Kvs) > 0 {
		found, _ = readHolder(key, answer.Kvs[0].Value) // held it is, whatever its name
	}
	return &state.HeldError{Holder: found}
}

// Close implements [state.Store].
func (s *Store) Close() error {
	s.mu.Lock()
	holds := s.holds
	s.holds = make(map[*state.Hold]func(context.Context) error)
	s.mu.Unlock()
	var err error
	for hold, release := range holds {
		hold.Lose(state.ErrClosed)
		err = errors.Join(err, release(context.Background()))
	}
	s.cancel()
	if closeErr := s.client.Close(); closeErr != nil && !errors.Is(closeErr, context.Canceled) {
		err = errors.Join(err, closeErr)
	}
	return err
}
