package sallyport_test

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"sync"
	"testing"

	"sallyport"
	"sallyport/mfa"
)

// keyFileEnv makes this test binary print the ids of a key file instead of running tests.
const keyFileEnv = "SALLYPORT_TEST_KEYFILE"

func TestMain(m *testing.M) {
	path := os.Getenv(keyFileEnv)
	if path == "" {
		os.Exit(m.Run())
	}
	keys, err := sallyport.KeyFile(path)()
	if err != nil {
		fmt.Println("error:", err)
		os.Exit(1)
	}
	fmt.Println(fingerprint(keys))
}

// fingerprint is all of a ring in one line.
func fingerprint(keys []mfa.Key) string {
	var words []string
	for _, k := range keys {
		words = append(words, k.ID+"="+base64.RawURLEncoding.EncodeToString(k.Secret))
	}
	return strings.Join(words, " ")
}

// keyText is a key's text in a file: n, then 31 other bytes.
func keyText(n byte) string {
	secret := bytes.Repeat([]byte{n}, mfa.KeySize)
	secret[0] = 0xfb // so that its base64 holds what only base64url writes
	return base64.RawURLEncoding.EncodeToString(secret)
}

// writeKeyFile writes a key file of mode 0600 and returns its path.
func writeKeyFile(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "keys")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestAKeyFileIsMadeOnceForItsOwnerAlone(t *testing.T) {
	folder := t.TempDir()
	path := filepath.Join(folder, "sallyport.keys")
	made, err := sallyport.KeyFile(path)()
	if err != nil {
		t.Fatal(err)
	}
	if len(made) != 1 || len(made[0].Secret) != 32 || bytes.Equal(made[0].Secret, make([]byte, 32)) {
		t.Fatalf("KeyFile made %d keys, want one of 32 random bytes", len(made))
	}
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	if info.Mode() != 0o600 && runtime.GOOS != "windows" {
		t.Errorf("mode = %v, want -rw-------", info.Mode())
	}
	again, err := sallyport.KeyFile(path)()
	if err != nil || fingerprint(again) != fingerprint(made) {
		t.Errorf("the second call = %v, want the same key", err)
	}
	entries, err := os.ReadDir(folder)
	if err != nil || len(entries) != 1 {
		t.Errorf("the folder holds %v, want the key file alone", entries)
	}
	other, err := sallyport.KeyFile(filepath.Join(folder, "other.keys"))()
	if err != nil || other[0].ID == made[0].ID || bytes.Equal(other[0].Secret, made[0].Secret) {
		t.Errorf("another file holds %v, %v, want another key", other, err)
	}
}

func TestAKeyFileIsReadInItsOrder(t *testing.T) {
	path := writeKeyFile(t,
		"# the newest first\n\nnew-1 "+keyText(1)+"\r\n  \t\n\tOLD_2\t"+keyText(2)+"  \n# "+keyText(3)+"\nlast "+keyText(4))
	keys, err := sallyport.KeyFile(path)()
	if err != nil {
		t.Fatal(err)
	}
	want := "new-1=" + keyText(1) + " OLD_2=" + keyText(2) + " last=" + keyText(4)
	if got := fingerprint(keys); got != want {
		t.Errorf("KeyFile = %s, want %s", got, want)
	}
}

func TestAKeyFileThatOthersMayReadIsRefused(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("modes mean nothing on Windows")
	}
	path := writeKeyFile(t, "k "+keyText(1)+"\n")
	for mode := fs.FileMode(0); mode <= 0o777; mode++ {
		if mode&0o400 == 0 && os.Geteuid() != 0 {
			continue // cannot be read at all
		}
		if err := os.Chmod(path, mode); err != nil {
			t.Fatal(err)
		}
		keys, err := sallyport.KeyFile(path)()
		if private := mode&0o077 == 0; (err == nil) != private {
			t.Fatalf("KeyFile with mode %#o = %v, want it read: %v", mode, err, private)
		}
		if err != nil && (keys != nil || !strings.Contains(err.Error(), "chmod 600 "+path)) {
			t.Fatalf("KeyFile with mode %#o = %v, %v, want no keys and how to mend it", mode, keys, err)
		}
	}
}

func TestACorruptKeyFileIsRefusedByLineWithoutItsSecret(t *testing.T) {
	good := keyText(7)
	standard := strings.ReplaceAll(good, "-", "+")
	if standard == good {
		t.Fatal("the secret looks the same in both alphabets")
	}
	for _, c := range []struct{ name, text, want string }{
		{"an empty file", "", "no key"},
		{"comments alone", "# nothing\n\n", "no key"},
		{"a secret alone", "k " + good + "\n" + good + "\n", "line 2"},
		{"an id alone", "# keys\nmine\n", "line 2"},
		{"three words", "k " + good + " " + good + "\n", "line 1"},
		{"secret and id in the wrong order", good + " k\n", "line 1"},
		{"a secret cut short", "k " + good[:42] + "\n", "line 1"},
		{"a secret that is too long", "k " + good + "AAAA\n", "line 1"},
		{"padding", "k " + good + "=\n", "line 1"},
		{"the other base64", "k " + standard + "\n", "line 1"},
		{"bits left over", "k " + good[:42] + "B\n", "line 1"},
		{"a secret of one byte", "k " + strings.Repeat("A", 43) + "\n", "line 1"},
		{"the same id twice", "k " + good + "\nother " + keyText(8) + "\nk " + keyText(9) + "\n", "line 3"},
		{"an id with a slash", "a/b " + good + "\n", "line 1"},
		{"half a secret for an id", standard[:20] + " " + good + "\n", "line 1"},
		{"a byte order mark", "\ufeffk " + good + "\n", "line 1"},
		{"bytes that are no text", "k \xff\xfe" + good[2:] + "\n", "line 1"},
		{"a secret over two lines", "k " + good[:20] + "\n" + good[20:] + "\n", "line 1"},
		{"the last line torn", "k " + good + "\nl " + keyText(8)[:17], "line 2"},
	} {
		t.Run(c.name, func(t *testing.T) {
			path := writeKeyFile(t, c.text)
			keys, err := sallyport.KeyFile(path)()
			if err == nil || keys != nil {
				t.Fatalf("KeyFile = %v, %v, want a refusal", keys, err)
			}
			if said := err.Error(); !strings.Contains(said, c.want) || !strings.Contains(said, path) {
				t.Errorf("KeyFile = %q, want the path and %q in it", said, c.want)
			}
			for i := 0; i+8 <= len(standard); i++ {
				for _, secret := range []string{good, standard} {
					if strings.Contains(err.Error(), secret[i:i+8]) {
						t.Fatalf("KeyFile = %q repeats a part of the secret", err)
					}
				}
			}
			kept, readErr := os.ReadFile(path)
			if readErr != nil || string(kept) != c.text {
				t.Errorf("the file was changed to %q", kept)
			}
		})
	}
}

func TestAKeyFileOfAnEndlessLengthIsRefused(t *testing.T) {
	path := writeKeyFile(t, strings.Repeat("# a line\n", 10_000))
	if keys, err := sallyport.KeyFile(path)(); err == nil || !strings.Contains(err.Error(), "longer than") {
		t.Errorf("KeyFile = %v, %v, want a refusal of its length", keys, err)
	}
}

func TestAKeyFileMustBeAPlainFile(t *testing.T) {
	if keys, err := sallyport.KeyFile(t.TempDir())(); err == nil || !strings.Contains(err.Error(), "not a regular file") {
		t.Errorf("KeyFile of a folder = %v, %v, want a refusal", keys, err)
	}
}

func TestAKeyFileBehindALink(t *testing.T) {
	target := writeKeyFile(t, "k "+keyText(1)+"\n")
	folder := t.TempDir()
	link := filepath.Join(folder, "link")
	if err := os.Symlink(target, link); err != nil {
		t.Skip("no symbolic links here:", err)
	}
	keys, err := sallyport.KeyFile(link)()
	if err != nil || len(keys) != 1 || keys[0].ID != "k" {
		t.Errorf("KeyFile of a link = %v, %v, want the key behind it", keys, err)
	}
	if err := os.Chmod(target, 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := sallyport.KeyFile(link)(); err == nil && runtime.GOOS != "windows" {
		t.Error("KeyFile of a link does not look at the mode of the file behind it")
	}
	// A mounted secret that is not there yet must not be replaced by a new key in its place.
	dangling := filepath.Join(folder, "dangling")
	nowhere := filepath.Join(folder, "nowhere")
	if err := os.Symlink(nowhere, dangling); err != nil {
		t.Fatal(err)
	}
	if keys, err := sallyport.KeyFile(dangling)(); err == nil {
		t.Errorf("KeyFile of a link to nothing = %v, want an error", keys)
	}
	if _, err := os.Lstat(nowhere); err == nil {
		t.Error("KeyFile made a key where a link leads to nothing")
	}
	if info, err := os.Lstat(dangling); err != nil || info.Mode()&fs.ModeSymlink == 0 {
		t.Error("KeyFile replaced a link")
	}
}

func TestAKeyFileWhoseFolderIsNotThere(t *testing.T) {
	path := filepath.Join(t.TempDir(), "not", "there", "keys")
	keys, err := sallyport.KeyFile(path)()
	if err == nil || !strings.Contains(err.Error(), path) {
		t.Errorf("KeyFile = %v, %v, want an error that names %s", keys, err, path)
	}
}

func TestAKeyFileInAFolderThatCannotBeWritten(t *testing.T) {
	if os.Geteuid() == 0 { // root may write anywhere but here
		path := "/proc/sallyport.keys"
		if keys, err := sallyport.KeyFile(path)(); err == nil {
			t.Errorf("KeyFile = %v, want an error", keys)
		}
		return
	}
	folder := t.TempDir()
	if err := os.Chmod(folder, 0o500); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(folder, "keys")
	if keys, err := sallyport.KeyFile(path)(); err == nil || !strings.Contains(err.Error(), path) {
		t.Errorf("KeyFile = %v, %v, want an error that names %s", keys, err, path)
	}
}

func TestManyThatStartAtOnceShareOneKeyFile(t *testing.T) {
	for range 20 {
		path := filepath.Join(t.TempDir(), "keys")
		const n = 32
		found := make([]string, n)
		start := make(chan struct{})
		var all sync.WaitGroup
		for i := range n {
			all.Go(func() {
				<-start
				keys, err := sallyport.KeyFile(path)()
				if err != nil {
					t.Error(err)
				}
				found[i] = fingerprint(keys)
			})
		}
		close(start)
		all.Wait()
		agree(t, path, found)
	}
}

func TestManyProcessesThatStartAtOnceShareOneKeyFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "keys")
	const n = 8
	found := make([]string, n)
	var all sync.WaitGroup
	for i := range n {
		all.Go(func() {
			process := exec.Command(os.Args[0], "-test.run=^$")
			process.Env = append(os.Environ(), keyFileEnv+"="+path)
			out, err := process.CombinedOutput()
			if err != nil {
				t.Errorf("process %d: %v: %s", i, err, out)
			}
			found[i] = strings.TrimSpace(string(out))
		})
	}
	all.Wait()
	agree(t, path, found)
}

// agree checks that all have found the one whole file that is there, and nothing beside it.
func agree(t *testing.T, path string, found []string) {
	t.Helper()
	for i, f := range found {
		if f != found[0] || !regexp.MustCompile(`^[\w-]+=[\w-]{43}$`).MatchString(f) {
			t.Errorf("number %d found %q, number 0 %q", i, f, found[0])
		}
	}
	if entries, err := os.ReadDir(filepath.Dir(path)); err != nil || len(entries) != 1 {
		t.Errorf("the folder holds %v, %v, want the key file alone", entries, err)
	}
	if keys, err := sallyport.KeyFile(path)(); err != nil || fingerprint(keys) != found[0] {
		t.Errorf("the file holds another key than all were given: %v", err)
	}
}
