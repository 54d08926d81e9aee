package passkey_test

import (
	"context"
	"fmt"
	"io"
	"log"
	"net/http"
	"os"
	"time"

	"sallyport/passkey"
)

// A company that hands out security keys of one model accepts no other. What is known about models comes from a file,
// and is brought up to date once a day.
func ExampleMetadata_Follow() {
	file, err := os.Open("blob.jwt")
	if err != nil {
		log.Fatal(err)
	}
	known, err := passkey.LoadMetadata(file, time.Now())
	if err != nil {
		log.Fatal(err)
	}
	fetch := func(ctx context.Context) (io.ReadCloser, error) {
		r, err := http.NewRequestWithContext(ctx, http.MethodGet, "https://mds3.fidoalliance.org/", nil)
		if err != nil {
			return nil, err
		}
		resp, err := http.DefaultClient.Do(r)
		if err != nil {
			return nil, err
		}
		if resp.StatusCode != http.StatusOK {
			resp.Body.Close()
			return nil, fmt.Errorf("the metadata service answers %s", resp.Status)
		}
		return resp.Body, nil
	}
	go known.Follow(context.Background(), fetch, 24*time.Hour, func(err error) { log.Print(err) })

	keys, err := passkey.New(passkey.Config{
		RPID: "example.org", Origins: []string{"https://example.org"},
		Attestation: passkey.Direct, Metadata: known,
		Models: passkey.Models{Only: []string{"ee882879-721c-4913-9775-3dfcce97072a"}, MinLevel: passkey.Level1},
	})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(keys.Name())
}
