package sqlstore_test

import (
	"testing"

	"sallyport/internal/enginetest"
	"sallyport/mfa"
)

// Three engines, each with connections of its own, meet in the database.
func TestRaces(t *testing.T) {
	onEach(t, func(t *testing.T, d database) {
		enginetest.Races(t, enginetest.Size(2, 1000), func(t *testing.T) []mfa.Store {
			open := d.open(t)
			first := open()
			migrate(t, first, d.dialect)
			return []mfa.Store{
				newStore(t, first, d.dialect), newStore(t, open(), d.dialect), newStore(t, open(), d.dialect),
			}
		})
	})
}
