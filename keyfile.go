package sallyport

import (
	"bufio"
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"time"

	"sallyport/mfa"
)

// KeyFile returns a Config.Keys that reads the key ring from a file, and makes one with a random key if there is none.
//
// The file is text, one key a line: an id, a space, and 32 bytes in unpadded base64url. The first key seals; all of
// them open. Empty lines and lines that begin with "#" are skipped. Only its owner may read it (mode 0600); another
// mode is refused. Processes that start at once end up with one and the same file. Whoever has the file and the
// database can read every account, and without the file nobody can: keep a copy apart from the copies of the database.
func KeyFile(path string) func() ([]mfa.Key, error) {
	return func() ([]mfa.Key, error) {
		keys, err := readKeyFile(path)
		if !errors.Is(err, fs.ErrNotExist) {
			return keys, err
		}
		if err := makeKeyFile(path); err != nil {
			return nil, err
		}
		return readKeyFile(path)
	}
}

// maxKeyFile is far more than a ring needs.
const maxKeyFile = 64 << 10

func readKeyFile(path string) ([]mfa.Key, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("key file: %w", err)
	}
	defer f.Close()
	if err := checkKeyFile(f, path); err != nil {
		return nil, err
	}
	text, err := io.ReadAll(io.LimitReader(f, maxKeyFile+1))
	if err != nil {
		return nil, fmt.Errorf("key file: %w", err)
	}
	if len(text) > maxKeyFile {
		return nil, fmt.Errorf("key file %s is longer than %d bytes: it is no key file", path, maxKeyFile)
	}
	keys, err := parseKeys(text)
	if err != nil {
		return nil, fmt.Errorf("key file %s: %w", path, err)
	}
	return keys, nil
}

// checkKeyFile refuses what others can read. On Windows the mode says nothing.
func checkKeyFile(f *os.File, path string) error {
	info, err := f.Stat()
	if err != nil {
		return fmt.Errorf("key file: %w", err)
	}
	if !info.Mode().IsRegular() {
		return fmt.Errorf("key file %s is not a regular file", path)
	}
	if mode := info.Mode().Perm(); mode&0o077 != 0 && runtime.GOOS != "windows" {
		return fmt.Errorf("key file %s has mode %#o, so others may have read it: chmod 600 %s (and make new keys if they did)", path, mode, path)
	}
	return nil
}

// isKeyID is the rule of mfa.NewRing, whose error repeats the id.
func isKeyID(word string) bool {
	plain := func(r rune) bool {
		return 'a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' || '0' <= r && r <= '9' || r == '-' || r == '_'
	}
	return len(word) <= 32 && !strings.ContainsFunc(word, func(r rune) bool { return !plain(r) })
}

// parseKeys reads the text of a key file. Its errors name the line, never what is in it.
func parseKeys(text []byte) ([]mfa.Key, error) {
	var keys []mfa.Key
	lines := bufio.NewScanner(bytes.NewReader(text))
	for n := 1; lines.Scan(); n++ {
		line := strings.TrimSpace(lines.Text())
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		words := strings.Fields(line)
		if len(words) != 2 {
			return nil, fmt.Errorf("line %d: it has %d words, not an id and a key", n, len(words))
		}
		if !isKeyID(words[0]) { // perhaps a secret in the wrong place, which no error may repeat
			return nil, fmt.Errorf("line %d: it does not begin with an id of 1 to 32 letters, digits, - or _", n)
		}
		secret, err := base64.RawURLEncoding.Strict().DecodeString(words[1])
		if err != nil || len(secret) != mfa.KeySize {
			return nil, fmt.Errorf("line %d: the key is not %d bytes in unpadded base64url", n, mfa.KeySize)
		}
		if _, err := mfa.NewRing(append(keys[:len(keys):len(keys)], mfa.Key{ID: words[0], Secret: secret})...); err != nil {
			return nil, fmt.Errorf("line %d: %w", n, err)
		}
		keys = append(keys, mfa.Key{ID: words[0], Secret: secret})
	}
	if err := lines.Err(); err != nil {
		return nil, err
	}
	if len(keys) == 0 {
		return nil, errors.New("it holds no key: restore it from its copy, or remove it to have one made if no account was ever saved")
	}
	return keys, nil
}

// makeKeyFile writes a whole file beside the place and links it there, which only the first of several processes can.
func makeKeyFile(path string) error {
	key, err := mfa.NewKey(time.Now())
	if err != nil {
		return fmt.Errorf("key file: %w", err)
	}
	text := "# Keys of sallyport: id and secret, one key a line; the first one seals. Keep this file to yourself, and a copy\n" +
		"# of it apart from the copies of the database.\n" +
		key.ID + " " + base64.RawURLEncoding.EncodeToString(key.Secret) + "\n"
	temporary, err := writeTemporary(path, text)
	if err != nil {
		return fmt.Errorf("making key file %s: %w", path, err)
	}
	defer os.Remove(temporary)
	if err := os.Link(temporary, path); err != nil && !errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("making key file %s: %w", path, err)
	}
	return syncFolder(filepath.Dir(path))
}

// writeTemporary writes a new file of mode 0600 to the disk itself.
func writeTemporary(path, text string) (name string, err error) {
	f, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+".*") // mode 0600, O_EXCL
	if err != nil {
		return "", err
	}
	_, err = f.WriteString(text)
	err = errors.Join(err, f.Sync(), f.Close())
	if err != nil {
		os.Remove(f.Name())
		return "", err
	}
	return f.Name(), nil
}

// syncFolder makes a new name durable, where folders can be synced.
func syncFolder(folder string) error {
	if runtime.GOOS == "windows" {
		return nil
	}
	d, err := os.Open(folder)
	if err != nil {
		return fmt.Errorf("key file: %w", err)
	}
	defer d.Close()
	if err := d.Sync(); err != nil {
		return fmt.Errorf("key file: %w", err)
	}
	return nil
}
