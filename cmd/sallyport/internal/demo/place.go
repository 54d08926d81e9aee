package demo

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"sallyport/sqlstore"
)

// withPlaces fills in where things are kept, and makes the data folder. Data is empty if nothing is kept there.
func (o Options) withPlaces() (Options, error) {
	if o.Store != "" && o.Keys != "" {
		o.Data = ""
		return o, nil
	}
	if o.Data == "" {
		cache, err := os.UserCacheDir()
		if err != nil {
			return o, fmt.Errorf("there is no cache directory for the data (%w): name a folder with --data", err)
		}
		o.Data = filepath.Join(cache, "sallyport", "demo")
	}
	data, err := filepath.Abs(o.Data)
	if err != nil {
		return o, fmt.Errorf("--data %q: %w", o.Data, err)
	}
	o.Data = data
	if err := makeFolder(o.Data); err != nil {
		return o, err
	}
	o.Store = cmp.Or(o.Store, "sqlite:"+filepath.Join(o.Data, "demo.db"))
	o.Keys = cmp.Or(o.Keys, filepath.Join(o.Data, "sallyport.keys"))
	return o, nil
}

// makeFolder makes a folder that nobody else may read, unless there is one, and tries whether it can be written.
func makeFolder(name string) error {
	if err := os.MkdirAll(name, 0o700); err != nil {
		return fmt.Errorf("cannot make the data folder (%w): name another with --data", err)
	}
	f, err := os.CreateTemp(name, ".try-")
	if err != nil {
		return fmt.Errorf("cannot write to the data folder (%w): name another with --data", err)
	}
	return errors.Join(f.Close(), os.Remove(f.Name()))
}

// source is a database that --store names.
type source struct {
	dialect sqlstore.Dialect
	driver  string
	dsn     string
	name    string // for messages, without a password
}

// parseStore reads the value of --store.
func parseStore(store string) (source, error) {
	scheme, rest, _ := strings.Cut(store, ":")
	switch {
	case scheme == "postgres" || scheme == "postgresql":
		return source{sqlstore.PostgreSQL, "pgx", store, "the PostgreSQL database"}, nil
	case scheme != "sqlite":
		return source{}, errors.New("--store names no database that is known here: " +
			"give sqlite:PATH or postgres://USER@HOST/DATABASE")
	case rest == "" || strings.Contains(rest, ":memory:"):
		return source{}, fmt.Errorf("--store %q names no file: give one as in sqlite:/tmp/demo.db", store)
	}
	path, err := filepath.Abs(rest)
	if err != nil {
		return source{}, fmt.Errorf("--store %q: %w", store, err)
	}
	if err := checkFile("--store", path); err != nil {
		return source{}, err
	}
	return source{sqlstore.SQLite, "sqlite", sqlstore.SQLiteDSN(path), path}, nil
}

// checkFile finds out why the file that a flag names cannot be one, before that is said in stranger words.
func checkFile(flag, path string) error {
	folder := filepath.Dir(path)
	info, err := os.Stat(folder)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("%s: there is no folder %s: make it first", flag, folder)
	case err != nil:
		return fmt.Errorf("%s: %w: name a file in a folder that you may use", flag, err)
	case !info.IsDir():
		return fmt.Errorf("%s: %s is not a folder: name a file in one", flag, folder)
	}
	if info, err := os.Stat(path); err == nil && !info.Mode().IsRegular() {
		return fmt.Errorf("%s: %s is not a file: name one", flag, path)
	}
	return nil
}
