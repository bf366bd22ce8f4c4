package vfs_test

import (
	"encoding/binary"
	"errors"
	"testing"

	"github.com/tbctl/tbctl/vfs"
)

// acl makes one of tag, rights and number of each entry.
func acl(entries ...[3]uint32) []byte {
	text := binary.LittleEndian.AppendUint32(nil, 2)
	for _, entry := range entries {
		text = binary.LittleEndian.AppendUint16(text, uint16(entry[0]))
		text = binary.LittleEndian.AppendUint16(text, uint16(entry[1]))
		text = binary.LittleEndian.AppendUint32(text, entry[2])
	}
	return text
}

func TestMayExecute(t *testing.T) {
	t.Parallel()
	const user, group, other = 45553, 45554, 45555
	plain := vfs.User{UID: user, Groups: []int{group}}
	root := vfs.User{Override: true}
	inside := vfs.User{UID: user, Override: true, Search: true, UIDs: []vfs.IDs{{First: user, Count: 2}}, GIDs: []vfs.IDs{{First: user, Count: 2}}}
	searches := vfs.User{UID: user, Search: true}
	named := [][3]uint32{{0x01, 7, 0}, {0x02, 5, user}, {0x04, 0, 0}, {0x08, 5, group}, {0x10, 5, 0}, {0x20, 0, 0}}
	masked := append(append([][3]uint32{}, named[:4]...), [3]uint32{0x10, 4, 0}, [3]uint32{0x20, 7, 0})
	for name, test := range map[string]struct {
		who   vfs.User
		file  vfs.Guarded
		right vfs.Right
		needs vfs.Mode
	}{
		"the owner":                            {plain, vfs.Guarded{UID: user, Mode: 0o500}, "", 0},
		"the owner, whom others are ahead of":  {plain, vfs.Guarded{UID: user, GID: group, Mode: 0o477}, vfs.RightExecute, 0o577},
		"the group":                            {plain, vfs.Guarded{GID: group, Mode: 0o750}, "", 0},
		"the group, whom others are ahead of":  {plain, vfs.Guarded{GID: group, Mode: 0o705}, vfs.RightRead, 0o755},
		"others":                               {plain, vfs.Guarded{GID: other, Mode: 0o755}, "", 0},
		"others, who may read":                 {plain, vfs.Guarded{GID: other, Mode: 0o744}, vfs.RightExecute, 0o755},
		"others, who may execute":              {plain, vfs.Guarded{GID: other, Mode: 0o711}, vfs.RightRead, 0o755},
		"nobody else":                          {plain, vfs.Guarded{GID: other, Mode: 0o700}, vfs.RightRead, 0o755},
		"root":                                 {root, vfs.Guarded{UID: other, GID: other, Mode: 0o100}, "", 0},
		"root, and nobody may execute it":      {root, vfs.Guarded{UID: other, GID: other, Mode: 0o666}, vfs.RightExecute, 0o777},
		"root of a container":                  {inside, vfs.Guarded{UID: user, GID: group, Mode: 0o100}, "", 0},
		"root of a container, root's file":     {inside, vfs.Guarded{UID: 0, GID: group, Mode: 0o700}, vfs.RightRead, 0o755},
		"one who may read all":                 {searches, vfs.Guarded{Mode: 0o711}, "", 0},
		"one who may read all, not execute it": {searches, vfs.Guarded{Mode: 0o700}, vfs.RightExecute, 0o755},
		"a user of the ACL":                    {plain, vfs.Guarded{Mode: 0o750, ACL: acl(named...)}, "", 0},
		"a group of the ACL":                   {vfs.User{UID: other, Groups: []int{1, group}}, vfs.Guarded{Mode: 0o750, ACL: acl(named...)}, "", 0},
		"none of the ACL":                      {vfs.User{UID: other, Groups: []int{other}}, vfs.Guarded{Mode: 0o750, ACL: acl(named...)}, vfs.RightRead, 0o755},
		"the ACL's mask":                       {plain, vfs.Guarded{Mode: 0o747, ACL: acl(masked...)}, vfs.RightExecute, 0o757},
	} {
		err := test.who.MayExecute(test.file)
		denied, ok := errors.AsType[*vfs.DeniedError](err)
		switch {
		case test.right == "" && err != nil, test.right != "" && (!ok || denied.Right != test.right):
			t.Errorf("%s: %v, want %q", name, err, test.right)
		case ok && test.needs != 0o700 && test.needs != denied.Needs():
			t.Errorf("%s: needs %s, want %s", name, denied.Needs(), test.needs)
		}
	}
	if err := plain.MayExecute(vfs.Guarded{Mode: 0o777, ACL: []byte("\x02\x00\x00\x00cut")}); !errors.Is(err, vfs.ErrNotSupported) {
		t.Errorf("an ACL that is not understood: %v", err)
	}
	if err := plain.MayPass(vfs.Guarded{Mode: 0o710}); err == nil {
		t.Error("a directory that others may not pass through")
	}
	if err := searches.MayPass(vfs.Guarded{Mode: 0o700}); err != nil {
		t.Errorf("who may pass through every directory: %v", err)
	}
}
