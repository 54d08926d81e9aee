package demo

import (
	"context"
	"database/sql"
	"fmt"
	"net/http"
	"time"

	"sallyport"
	"sallyport/mfa"
)

// mail is one message to a user, as /outbox shows it.
type mail struct {
	ID      int64     `json:"id"`
	At      time.Time `json:"at"`
	User    string    `json:"user"`
	To      string    `json:"to"`
	Courier string    `json:"courier"`
	Subject string    `json:"subject"`
	Text    string    `json:"text"`
}

// outbox takes the place of a mail server: what it is given can be read on a page.
type outbox struct {
	db  *database
	now func() time.Time
}

// keptMails is how many mails the outbox keeps.
const keptMails = 500

// putTime is how long a mail may take. It is not cut short by a browser that has left: the user is to be told anyway.
const putTime = 5 * time.Second

func (o *outbox) put(ctx context.Context, m mail) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), putTime)
	defer cancel()
	err := o.db.write(ctx, func(tx *sql.Tx) error {
		var id int64
		err := tx.QueryRowContext(ctx, o.db.text(`INSERT INTO demo_outbox (at, username, recipient, courier, subject, body)
			VALUES (?, ?, ?, ?, ?, ?) RETURNING id`),
			o.now().UnixMicro(), m.User, m.To, m.Courier, m.Subject, m.Text).Scan(&id)
		if err != nil {
			return err
		}
		_, err = tx.ExecContext(ctx, o.db.text(`DELETE FROM demo_outbox WHERE id <= ?`), id-keptMails)
		return err
	})
	if err != nil {
		return fmt.Errorf("putting a mail into the outbox: %w", err)
	}
	return nil
}

// notify is Config.Notify of the guard.
func (o *outbox) notify(ctx context.Context, n sallyport.Notice) error {
	return o.put(ctx, mail{User: n.User.ID, To: n.User.Email, Courier: "notice", Subject: n.Subject, Text: n.Text})
}

// carry is a courier that puts its messages here.
func (o *outbox) carry(name string) func(context.Context, mfa.Message) error {
	return func(ctx context.Context, m mfa.Message) error {
		text := m.Text
		if name == "sms" {
			text = m.Short
		}
		return o.put(ctx, mail{User: m.User.ID, To: m.To, Courier: name, Subject: m.Subject, Text: text})
	}
}

// list returns the kept mails, newest first. It is never nil.
func (o *outbox) list(ctx context.Context) ([]mail, error) {
	rows, err := o.db.QueryContext(ctx, o.db.text(`SELECT id, at, username, recipient, courier, subject, body
		FROM demo_outbox ORDER BY id DESC LIMIT ?`), keptMails)
	if err != nil {
		return nil, fmt.Errorf("reading the outbox: %w", err)
	}
	defer rows.Close()
	mails := []mail{}
	for rows.Next() {
		var m mail
		var at int64
		if err := rows.Scan(&m.ID, &at, &m.User, &m.To, &m.Courier, &m.Subject, &m.Text); err != nil {
			return nil, fmt.Errorf("reading the outbox: %w", err)
		}
		m.At = time.UnixMicro(at).UTC()
		mails = append(mails, m)
	}
	if err := rows.Err(); err != nil {
		return nil, fmt.Errorf("reading the outbox: %w", err)
	}
	return mails, nil
}

func (s *site) showOutbox(w http.ResponseWriter, r *http.Request) error {
	mails, err := s.outbox.list(r.Context())
	if err != nil {
		return err
	}
	if wantsJSON(r) {
		return writeJSON(w, http.StatusOK, mails)
	}
	return s.render(w, r, http.StatusOK, "outbox", "Outbox", mails)
}
