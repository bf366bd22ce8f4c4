//go:build unix && mutate

package main

// namedMutant is a change that some test must notice. What it changes stands in the file once.
type namedMutant struct {
	name, file, old, new string
	tests                string // a package, and perhaps a pattern
}

// namedMutants once survived, each against what tbctl promises.
var namedMutants = []namedMutant{
	{
		name: "an artifact that comes slowly keeps the room that another waits for", file: "depot/writer.go",
		old: `			return ErrGaveWay`, new: `			return nil`,
		tests: "./depot ^TestGivesWay$",
	},
	{
		name: "many records of the history push out the one that vouches for the previous file", file: "durable/journal.go",
		old: `readJournal(fsys, name, math.MaxInt64, each)`, new: `readJournal(fsys, name, min(math.MaxInt64, journalReadMax), each)`,
		tests: "./install ^TestRollbackEntitled$",
	},
	{
		name: "who has the lock and is frozen is waited for", file: "replica/still_linux.go",
		old: `	if still.Group != "" {`, new: `	if false {`,
		tests: "./replica ^TestHoldsFrozen$",
	},
	{
		name: "who has another file's lock is told as who has this one", file: "replica/still_linux.go",
		old: `number == inode && `, new: `number|1 != 0 && `,
		tests: "./replica ^TestHoldsStill$",
	},
	{
		name: "what a host says is shown in full", file: "report/texts.go",
		old: `	if len(text) <= size {`, new: `	if true {`,
		tests: "./remote ^TestAnswerClipped$",
	},
	{
		name: "the first claim of a target may have any generation", file: "fleet/fence.go",
		old: `		return offered, offered.leaps(Base{})`, new: `		return offered, nil`,
		tests: "./fleet ^TestClaimLeap$",
	},
	{
		name: "a plan with a generation from nowhere is carried out", file: "rollout/shared.go",
		old: `		return nil, o.Plan.Numbered(count)`, new: `		return nil, o.Plan.Numbered(max(count, fleet.GenerationMax))`,
		tests: "./rollout ^TestNumbered$",
	},
	{
		name: "any number of strangers' processes is in a report", file: "report/status.go",
		old: `		if strangers > strangersMax {`, new: `		if false {`,
		tests: "./report ^TestStatusStrangers$",
	},
	{
		name: "strangers' processes come before those that count", file: "report/status.go",
		old: `		return 2`, new: `		return -1`,
		tests: "./report ^TestStatusStrangers$",
	},
	{
		name: "what strangers run warns of releases", file: "report/status.go",
		old: `		if !s.Replicas[index].Counts() {`, new: `		if false {`,
		tests: "./report ^TestStatusAdvises$",
	},
	{
		name: "a target that is too large for a report takes others with it", file: "report/fit.go",
		old: `		t.Status, t.Warnings, t.WayBackLost = nil, nil, ""`, new: ``,
		tests: "./report ^TestHostFit$",
	},
	{
		name: "a report is sent however large it is", file: "remote/handler.go",
		old: `		return shown.Fit()`, new: `		return report.Encode(shown, "")`,
		tests: "./remote ^TestHostReportFits$",
	},
	{
		name: "strangers' processes are rows of the fleet's table", file: "internal/render/fleet.go",
		old: `		if !replica.Counts() {`, new: `		if !replica.Replica {`,
		tests: "./internal/render ^TestFleetStrangers$",
	},
	{
		name: "a stranger's process that does not answer hinders a plan", file: "replica/find_linux.go",
		old: `			if !candidate.stranger || candidate.service {`, new: `			if true {`,
		tests: "./replica ^TestFindSilentStranger$",
	},
	{
		name: "a stranger's process that does not even answer whose it is hinders a plan", file: "replica/find_linux.go",
		old: `		if place.users.stranger(entry.user(place.ids)) && entry.service() == "" {`, new: `		if false {`,
		tests: "./replica ^TestFindBusyStranger$",
	},
	{
		name: "a replica in a service that does not answer is taken for a stranger's", file: "replica/find_linux.go",
		old: `place.users.stranger(entry.user(place.ids)) && entry.service() == ""`, new: `place.users.stranger(entry.user(place.ids))`,
		tests: "./replica ^TestFindBusyStranger$",
	},
	{
		name: "a lease on the data file of a process is waited for", file: "datafile/read.go",
		old: `vfs.OpenNow(name, checkKind)`, new: `vfs.OpenFile(name, checkKind)`,
		tests: "./replica ^TestFindLease$",
	},
	{
		name: "a host that answers busy is asked again at once", file: "fleet/decision.go",
		old: `	return b.Count == 0 || now-b.Last`, new: `	return true || now-b.Last`,
		tests: "./fleet ^TestPace$",
	},
	{
		name: "the requests for one plan push out those for another", file: "rollout/journal.go",
		old: `sha.Digits(plan)+journalExt`, new: `sha.Digits("")+journalExt`,
		tests: "./rollout ^TestJournalOfEachPlan$",
	},
	{
		name: "a run whose time is over waits for what a host was asked for", file: "rollout/run.go",
		old: `(len(m.running) == 0 || m.over(overPatience))`, new: `len(m.running) == 0`,
		tests: "./rollout ^TestRunTimeoutOfRequests$",
	},
	{
		name: "a replica that is stopped counts as one that runs in a report", file: "report/record.go",
		old: `			case shown.State == replica.StateStopped:`, new: `			case false:`,
		tests: "./report ^TestTally$",
	},
	{
		name: "what others have on its way into a store does not count", file: "depot/writer.go",
		old: `	if need += total(others); !limits.others {`, new: `	if !limits.others {`,
		tests: "./depot ^TestRoomUnderWay$",
	},
	{
		name: "a session stores many artifacts at the same time", file: "remote/put.go",
		old: `	end, err := h.deltas.take(r.Context(), "")`, new: `	end, err := func() {}, error(nil)`,
		tests: "./remote ^TestOneArtifactAtATime$",
	},
	{
		name: "an artifact that comes by a byte now and then is waited for", file: "remote/put.go",
		old: `	if b.large {
		patience = `, new: `	if b.large && false {
		patience = `,
		tests: "./remote ^TestStalledArtifact$",
	},
	{
		name: "what a plan says of its file is not compared with the file", file: "rollout/plan.go",
		old: `	if err = plan.Artifact.Matches(&facts); err == nil {`, new: `	if _ = facts; err == nil {`,
		tests: "./rollout ^TestOpenPlanned$",
	},
	{
		name: "receipts that others can have written vouch for a plan's file", file: "depot/shelf/source.go",
		old: `		case doubt != "":`, new: `		case false:`,
		tests: "./rollout ^TestPlanEvidence$",
	},
	{
		name: "one cluster has all places of a rollout", file: "fleet/stage.go",
		old: `	if share := s.share(); s.places() >= share {`, new: `	if share := s.share(); false {`,
		tests: "./fleet ^TestDecideFair$",
	},
	{
		name: "the advisories of a rollout's plan take the place of those that are known", file: "advisory/list.go",
		old: `	with := *l.orBuiltIn()`, new: `	with := *other`,
		tests: "./advisory ^TestWith$",
	},
	{
		name: "a run that aborts goes on with its plan", file: "fleet/fence.go",
		old: `	if f.Phase == PhaseAborting && f.begun() && (`, new: `	if false && (`,
		tests: "./fleet ^TestOneWay$",
	},
	{
		name: "each change of a target gives a run its restarts again", file: "fleet/fence.go",
		old: `	if !f.begun() {`, new: `	if true {`,
		tests: "./fleet ^TestOneWay$",
	},
	{
		name: "after root went through a claim the next may be as high as it likes", file: "fleet/fence.go",
		old: `		base, offered.Restarts = Base{}, 0`, new: `		base, offered.Restarts = offered.Base, 0`,
		tests: "./fleet ^TestOverruled$",
	},
	{
		name: "each refused request of a rollout is a record", file: "install/journal.go",
		old: `	if !record.inVain() {`, new: `	if true {`,
		tests: "./install ^TestRefusedInVain$",
	},
	{
		name: "a user's timer slack stays with root's session", file: "host/steady_linux.go",
		old: `	return err != nil || is < 0 || is > timerSlack`, new: `	return err != nil && is < 0`,
		tests: "./host ^TestSteady$",
	},
	{
		name: "what each thread has is set for one of them alone", file: "host/steady_linux.go",
		old: `	if again {`, new: `	if false {`,
		tests: "./host ^TestSteady$",
	},
	{
		name: "the priority that a user gave his session holds for root's", file: "host/steady_linux.go",
		old: `	_, _ = unix.Setsid() //`, new: `	//`,
		tests: "./host ^TestSteady$",
	},
	{
		name: "a limit that a user lowered stays with root's session", file: "host/steady_linux.go",
		old: `		if want == own && resource != unix.RLIMIT_NOFILE {`, new: `		if true {`,
		tests: "./host ^TestSteady$",
	},
	{
		name: "each advisory of a rollout's plan is a notice of its own", file: "advisory/list.go",
		old: `	if len(found) == 0 {`, new: `	if len(found) != 1 {
		return found
	}
	if false {`,
		tests: "./advisory ^TestWithIsBrief$",
	},
	{
		name: "the advisories of a rollout's plan are used after its end", file: "advisory/kept/kept.go",
		old: `	if !holds(f.Plan) {`, new: `	if false {`,
		tests: "./advisory/kept ^TestKeepRollout$",
	},
	{
		name: "what is read back differs, and the exit code is 1", file: "install/errors.go",
		old: `func (e *ReadBackError) Class() fault.Class { return fault.Unknown }`, new: `func (e *ReadBackError) Class() fault.Class { return fault.Failed }`,
		tests: "./cmd/tbctl ^TestExitUnknown$",
	},
	{
		name: "what the cluster needs is not asked again under the lock", file: "install/fit.go",
		old: `if r.request.Refresh != nil {`, new: `if false {`,
		tests: "./install ^TestNeedsAreAskedUnderTheLock$",
	},
	{
		name: "a target is changed though its state does not say whether a rollout holds it", file: "install/fence.go",
		old: "	case r.stateProblem != nil:\n		return r.inOperation(r.unknownFence(r.stateProblem))\n", new: "	case r.stateProblem != nil:\n		return nil\n",
		tests: "./install ^TestStateNotBelieved$",
	},
	{
		name: "a state that is put in the place of this run's own before the swap lets it through", file: "install/fence.go",
		old: `		return r.inOperation(r.unknownFence(&StateError{Path: r.target.StatePath(), Err: vfs.Cause(err)}))`, new: `		return vfs.Cause(nil)`,
		tests: "./install ^TestStateReplaced$",
	},
	{
		name: "a line is added to whatever is at the journal's name", file: "durable/foreign.go",
		old: `if !bytes.Equal(begin[:count], line[:len(begin)]) {`, new: `if false && !bytes.Equal(begin[:count], line[:len(begin)]) {`,
		tests: "./durable ^TestJournalOfOthers$",
	},
	{
		name: "a download is written to what others may have put at its name", file: "durable/partial.go",
		old: `if err = OwnDir(dir, fsys.Self()); err == nil {`, new: `if err = error(nil); err == nil {`,
		tests: "./durable ^TestPartialOfOthers$",
	},
	{
		name: "a directory that others put at the name of a new one gets its mode", file: "durable/dirs.go",
		old: `if self := fsys.Self(); othersWrite(in, self.UID, self) {`, new: `if self := fsys.Self(); false && othersWrite(in, self.UID, self) {`,
		tests: "./durable ^TestMkdirAllExchanged$",
	},
	{
		name: "a session is marked on whatever is at the lock's name", file: "fsatomic/session.go",
		old: `if err == nil && !info.SameFile(locked) {`, new: `if err == nil && false && !info.SameFile(locked) {`,
		tests: "./fsatomic ^TestSessionExchanged$",
	},
	{
		name: "without openat2 links of /proc are followed to a process's files", file: "vfs/open_linux.go",
		old: `return walk(name, flags)`, new: `return openat(unix.AT_FDCWD, name, flags|unix.O_CLOEXEC, 0)`,
		tests: "./vfs ^TestWithoutOpenat2$",
	},
	{
		name: "a target is looked for at the path that a file has for a process", file: "vfs/walk_linux.go",
		old: `return err == nil && in.Type == unix.PROC_SUPER_MAGIC && dir != procRoot`, new: `return false && err == nil && dir != procRoot`,
		tests: "./vfs ^TestProcessPath$",
	},
	{
		name: "a list beside a file is waited for", file: "release/client.go",
		old: `			return vfs.ErrNotRegular`, new: `			return nil`,
		tests: "./release ^TestSourceOfOthers$",
	},
	{
		name: "what is at the lock's name is written whatever it holds", file: "fsatomic/lock.go",
		old: `if lock.writable = lock.writable && lock.isOurs(); lock.writable {`, new: `if lock.writable {`,
		tests: "./fsatomic ^TestLockExchanged$",
	},
	{
		name: "a target's state writes into the history of another one", file: "install/interrupted.go",
		old: "	record.Target = r.target.Path\n", new: "",
		tests: "./install ^TestSettleForged$",
	},
	{
		name: "replicas are looked for at one target, and another is changed", file: "install/look.go",
		old: `if err := target.StillAt(*place); err != nil {`, new: `if err := error(nil); err != nil {`,
		tests: "./host ^TestSamePlace$",
	},
	{
		name: "a token follows a link to another host", file: "release/list.go",
		old: `err != nil || u.Host != api.Host || u.Scheme != api.Scheme {`, new: `err != nil || false && u.Host != api.Host {`,
		tests: "./release ^TestTokenStaysHome$",
	},
	{
		name: "what exec has copied is not verified", file: "extract/exec_linux.go",
		old: `if err := chosen.verify(ctx, file); err != nil {`, new: `if err := error(nil); err != nil {`,
		tests: "./extract ^TestDamageIsNotRun$",
	},
	{
		name: "what exec has read is verified, and not what it has written", file: "extract/exec.go",
		old: "		check.source = written\n", new: "		_ = check.source\n",
		tests: "./extract ^TestWrittenIsVerified$",
	},
	{
		name: "the staged file is not compared before the swap", file: "fsatomic/swap.go",
		old: `if err == nil && !info.SameContents(w.file) {`, new: `if err == nil && false && !info.SameContents(w.file) {`,
		tests: "./fsatomic ^TestStagedFileIsNotReplaced$",
	},
	{
		name: "after a swap back that failed the previous file keeps the target's attributes", file: "fsatomic/swapback.go",
		old: `err = errors.Join(err, restore())
	}
	return committed, err`, new: `_ = restore
	}
	return committed, err`,
		tests: "./fsatomic ^TestSwapBackGivesBack$",
	},
	{
		name: "a terminal gets what an error quotes", file: "cmd/tbctl/app.go",
		old: `text = term.Printable(strings.ReplaceAll(text, "\n", "; "))`, new: `_, text = term.Printable, strings.ReplaceAll(text, "\n", "; ")`,
		tests: "./cmd/tbctl ^TestErrorsArePrintable$",
	},
	{
		name: "a record waits for the journal without end", file: "install/journal.go",
		old: `context.WithTimeout(context.WithoutCancel(ctx), journalWait)`, new: `context.WithTimeout(context.WithoutCancel(ctx), 1e6*journalWait)`,
		tests: "./install ^TestJournalIsNotWaitedFor$",
	},
	{
		name: "what is read back comes from memory", file: "fsatomic/commit.go",
		old: "	file.DropCache()\n", new: "",
		tests: "./fsatomic ^TestReadBackIsFromTheDevice$",
	},
	{
		name: "a directory that is made keeps what the umask leaves", file: "durable/dirs.go",
		old: `if err = made.Chmod(mode); vfs.ModeRefused(err) {`, new: `if vfs.ModeRefused(err) {`,
		tests: "./durable ^TestMkdirAllWhateverTheUmask$",
	},
	{
		name: "space that was reserved is not given back", file: "fsatomic/stage.go",
		old: `if err := s.file.Truncate(s.size); err != nil {`, new: `if err := error(nil); err != nil {`,
		tests: "./fsatomic ^TestReservedSpaceIsGivenBack$",
	},
	{
		name: "a partial file or a journal may have two links", file: "durable/lock.go",
		old: `if err == nil && info.Links > 1 {`, new: `if err == nil && info.Links > 2 {`,
		tests: "./durable ^TestPartialOS$",
	},
	{
		name: "root's rollback gives rights to a file that others can have written", file: "install/writers.go",
		old: `if r.oldWriters.None() || len(rights) == 0`, new: `if true || len(rights) == 0`,
		tests: "./install ^TestRollbackEntitled$",
	},
	{
		name: "what is put back is open elsewhere", file: "install/rollback.go",
		old: `r.fresh = !r.oldWriters.None() || !r.oldKnown`, new: `r.fresh = false`,
		tests: "./install ^TestRollbackFresh$",
	},
	{
		name: "the record of a crash in a state of others vouches for a file", file: "install/writers.go",
		old: `(r.Result == ResultInstalled || r.Result == ResultRolledBack)`, new: `r.changed()`,
		tests: "./install ^TestRollbackEntitled$",
	},
	{
		name: "a full disk hinders the way back", file: "fsatomic/state.go",
		old: "		reserve(file, int64(len(data)))\n", new: "",
		tests: "./install ^TestRollbackFull$",
	},
	{
		name: "a run that lost the host installs there, or rolls back", file: "install/apply.go",
		old: `	return r.stillMayPassFence()`, new: `	return nil`,
		tests: "./install ^TestTakenOver$",
	},
	{
		name: "a claim goes back to an earlier run", file: "fleet/fence.go",
		old: `case offered.Epoch < stored.Epoch && !stored.Overruled:`, new: `case false:`,
		tests: "./fleet ^TestClaim$",
	},
	{
		name: "who has read a fence acts as its run", file: "fleet/secret.go",
		old: `if another || secret == (Secret{}) || subtle.ConstantTimeCompare([]byte(secret.ID()), []byte(offered.Proof)) == 0 {`, new: `_ = subtle.ConstantTimeCompare; if another || secret == (Secret{}) {`,
		tests: "./fleet ^TestProve$",
	},
	{
		name: "a store takes other bytes than they are called", file: "depot/writer.go",
		old: `if want != "" && want != digest {`, new: `if false {`,
		tests: "./depot ^TestPut$",
	},
	{
		name: "a file is rebuilt from a damaged executable", file: "delta/delta.go",
		old: `if sum != nil && sum.Checksum() != *segment.Executable {`, new: `if false {`,
		tests: "./delta ^TestRebuildErrors$",
	},
	{
		name: "a host acts on a target that its configuration does not name", file: "remote/handler.go",
		old: `case !slices.Contains(h.Targets, name):`, new: `case false && !slices.Contains(h.Targets, name):`,
		tests: "./remote ^TestHostTargets$",
	},
	{
		name: "an end that became silent is waited for and believed", file: "remote/conn.go",
		old: `SendPingTimeout: pingAfter, `, new: ``,
		tests: "./remote ^TestSilence$",
	},
	{
		name: "an answer that broke off is believed", file: "remote/api.go",
		old: `	case err != nil:
		return s.program.lost(request.Context(), err)
	case len(text)`, new: `	case false:
		return s.program.lost(request.Context(), err)
	case len(text)`,
		tests: "./remote ^TestAnswerBreaksOff$",
	},
	{
		name: "a swap of what is not in the store is answered as done", file: "remote/swap.go",
		old: `bring it there, tbctl store import FILE --sha256 %[1]s", request.Artifact, target))
	}
	if err != nil {
		return nil, err`, new: `bring it there, tbctl store import FILE --sha256 %[1]s", request.Artifact, target))
	}
	if err != nil {
		return nil, nil`,
		tests: "./remote ^TestHostLacksArtifact$",
	},
	{
		name: "a state that cannot be read once it is written again is believed", file: "install/state.go",
		old: `err = json.Unmarshal(again, new(State))`, new: `_ = again`,
		tests: "./install ^TestStateThatCannotBeWritten$",
	},
	{
		name: "a store that cannot be listed is empty", file: "depot/depot.go",
		old: `	names, err := digests(dir)
	if err != nil {
		return nil, fmt.Errorf("list the store: %w", err)`, new: `	names, err := digests(dir)
	if err != nil {
		return nil, nil`,
		tests: "./depot ^TestReadFaults$",
	},
	{
		name: "a cluster is promoted before it was stable for the whole period", file: "fleet/stable.go",
		old: `if len(s.state.Misses) > 0 || since < s.options.Stable {`, new: `if len(s.state.Misses) > 0 {`,
		tests: "./fleet ^TestSimulation$",
	},
	{
		name: "a cluster is armed and promoted though nothing was claimed", file: "fleet/forward.go",
		old: `|| !s.claimed() || !s.arm() {`, new: `|| !s.arm() {`,
		tests: "./fleet ^TestSimulation$",
	},
	{
		name: "a cluster is armed when its first host alone is claimed", file: "fleet/forward.go",
		old: `return all && before`, new: `return s.hosts[0].ours`,
		tests: "./fleet ^TestSimulation$",
	},
	{
		name: "what was seen while the claims were under way counts", file: "fleet/forward.go",
		old: `return all && before`, new: `return all`,
		tests: "./fleet ^TestDecideClaims$",
	},
	{
		name: "a primary is held back", file: "fleet/sight.go",
		old: `s.isPrimary(a), s.isPrimary(b); a != b {`, new: `s.isPrimary(a), s.isPrimary(b); a != b && false {`,
		tests: "./fleet ^TestDecideArm$",
	},
	{
		name: "one replica is held back where two must be", file: "fleet/sight.go",
		old: `if held += count; held >= s.c.Holdback {`, new: `if held += count; held >= 1 {`,
		tests: "./fleet ^TestSimulation$",
	},
	{
		name: "what a dead replica has offered is forgotten", file: "fleet/sight.go",
		old: `	case r == nil:
		return true, false`, new: `	case r == nil:
		return false, false`,
		tests: "./fleet ^TestDecideArm$",
	},
	{
		name: "a swap that may still arrive is forgotten", file: "fleet/forward.go",
		old: `s.memory.Asked[placeKey(h.key)] = true`, new: `s.memory.Asked[placeKey(h.key)] = false`,
		tests: "./fleet ^TestDecideAsked$",
	},
	{
		name: "a swap that could complete the quorum is done while arming", file: "fleet/forward.go",
		old: `if s.may+more >= s.state.Quorum && h.h.Voting() > 0 {`, new: `if s.may+more > s.state.Quorum && h.h.Voting() > 0 {`,
		tests: "./fleet ^TestDecideArm$",
	},
	{
		name: "a replica that was started again is taken for the same", file: "fleet/stable.go",
		old: `(before.PID != now.PID || !before.Started.Equal(now.Started)) {`, new: `(before.PID != now.PID && before.PID == 0) {`,
		tests: "./fleet ^TestSimulation$",
	},
	{
		name: "a view that changed is taken for the same", file: "fleet/stable.go",
		old: `if s.view != s.own.View {`, new: `if s.view < s.own.View {`,
		tests: "./fleet ^TestSimulation$",
	},
	{
		name: "a promotion that began is not seen", file: "fleet/sight.go",
		old: `if s.c.Replicas-s.sure < s.c.Holdback {`, new: `if s.c.Replicas-s.sure < 0 {`,
		tests: "./fleet ^TestDecideAbort$",
	},
	{
		name: "after the promotion began the previous files are put back", file: "fleet/abort.go",
		old: `case s.begun() || s.state.Upgraded > 0:`, new: `case s.state.Upgraded > 0:`,
		tests: "./fleet ^TestDecideAbort$",
	},
	{
		name: "the next previous file is put back before the cluster is calm", file: "fleet/abort.go",
		old: `if len(s.state.Misses) > 0 || since < s.options.Calm {`, new: `if len(s.state.Misses) > 0 {`,
		tests: "./fleet ^TestDecideAbort$",
	},
	{
		name: "an abort is over while replicas are armed", file: "fleet/abort.go",
		old: `|| s.offersNewer(r) || r.ArmedUnseen != "" {
				return false`, new: `|| r.ArmedUnseen != "" {
				return false`,
		tests: "./fleet ^TestDecideAbort$",
	},
	{
		name: "a cluster is done before its data says so", file: "fleet/sight.go",
		old: `return r != nil && r.Running == s.plan.Artifact.Release && r.Durable == s.plan.Artifact.Release`, new: `return r != nil && r.Running == s.plan.Artifact.Release`,
		tests: "./fleet ^TestDecidePromote$",
	},
	{
		name: "a run that is done has upgraded only one replica", file: "fleet/sight.go",
		old: `func(r *Replica) bool { return !s.runsIt(r) })`, new: `func(r *Replica) bool { return !s.runsIt(r) && false })`,
		tests: "./fleet ^TestSimulation$",
	},
	{
		name: "another run is passed over", file: "fleet/decide.go",
		old: `case f.Epoch > s.epoch(), f.Epoch == s.epoch()`, new: `case f.Epoch > s.epoch() && false, f.Epoch == s.epoch()`,
		tests: "./fleet ^TestDecideClaims$",
	},
	{
		name: "a displaced file is recorded with the attributes of another", file: "install/look.go",
		old: `if err := r.isTarget(file); err != nil {`, new: `if err := r.isTarget(file); false && err != nil {`,
		tests: "./install ^TestDescribedIsLookedUp$",
	},
	{
		name: "a run displaces whatever is at the target", file: "install/fence.go",
		old: `if sure && there != wanted {`, new: `if false && sure && there != wanted {`,
		tests: "./install ^TestSwapDisplaces$",
	},
	{
		name: "a run puts back another file than its plan has", file: "install/rollback.go",
		old: `back != "" && !strings.EqualFold(back, old.SHA256) {`, new: `false && back != "" && !strings.EqualFold(back, old.SHA256) {`,
		tests: "./install ^TestAbortEntitled$",
	},
	{
		name: "a digest that the other end names gives rights", file: "remote/swap.go",
		old: `return install.Request{Back: r.Artifact, `, new: `return install.Request{OldSHA256: r.Artifact, `,
		tests: "./remote ^TestSwapBackIsNoName$",
	},
	{
		name: "what was sent to a host is said to have been tried there", file: "host/check.go",
		old: `defer into.NotAsked(QuestionBoot, "nothing that was sent`, new: `defer into.Add(QuestionBoot, nil); _ = ("nothing that was sent`,
		tests: "./cmd/tbctl ^TestFleetCheck$",
	},
	{
		name: "a directory is watched by its name", file: "watch/hold_linux.go",
		old: `return fmt.Sprintf("/proc/self/fd/%d", fd), func() {`, new: `_ = fmt.Sprint(fd); return dir, func() {`,
		tests: "./watch ^TestHold$",
	},
}
