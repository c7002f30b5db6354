package main

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"example.com/todo/gen/wasi_keyvalue_atomics"
	kv "example.com/todo/gen/wasi_keyvalue_store"
	wit "go.bytecodealliance.org/pkg/wit/types"
)

// A shelf keeps the entries, each under a key of its own.
type shelf struct {
	bucket *kv.Bucket
}

const prefix = "entry/"

func openShelf() (shelf, error) {
	bucket, err := settle(kv.Open("default"))
	return shelf{bucket}, err
}

// nextID is never the same twice: the store itself increments it.
func (s shelf) nextID() (uint64, error) {
	return settle(wasi_keyvalue_atomics.Increment(s.bucket, "ids", 1))
}

func (s shelf) get(id uint64) (Entry, error) {
	return s.load(key(id))
}

func (s shelf) put(entry Entry) error {
	text, err := json.Marshal(entry)
	if err == nil {
		_, err = settle(s.bucket.Set(key(entry.ID), text))
	}
	return err
}

func (s shelf) delete(id uint64) error {
	_, err := settle(s.bucket.Delete(key(id)))
	return err
}

// all entries, the oldest first.
func (s shelf) all() ([]Entry, error) {
	entries := []Entry{}
	cursor := wit.None[uint64]()
	for {
		page, err := settle(s.bucket.ListKeys(cursor))
		if err != nil {
			return nil, err
		}
		for _, key := range page.Keys {
			if !strings.HasPrefix(key, prefix) {
				continue
			}
			// Another request may just have removed it.
			if entry, err := s.load(key); err == nil {
				entries = append(entries, entry)
			} else if err != errNone {
				return nil, err
			}
		}
		if page.Cursor.IsNone() {
			break
		}
		cursor = page.Cursor
	}
	slices.SortFunc(entries, func(a, b Entry) int { return int(a.ID) - int(b.ID) })
	return entries, nil
}

func (s shelf) load(key string) (entry Entry, err error) {
	found, err := settle(s.bucket.Get(key))
	if err != nil {
		return entry, err
	}
	if found.IsNone() {
		return entry, errNone
	}
	return entry, json.Unmarshal(found.Some(), &entry)
}

func key(id uint64) string {
	return fmt.Sprintf("%s%d", prefix, id)
}

// settle makes of a result what Go's functions return.
func settle[T any](result wit.Result[T, kv.Error]) (T, error) {
	if result.IsOk() {
		return result.Ok(), nil
	}
	var none T
	switch err := result.Err(); err.Tag() {
	case kv.ErrorAccessDenied:
		return none, fmt.Errorf("the settings grant no state")
	case kv.ErrorNoSuchStore:
		return none, fmt.Errorf("there is no such bucket")
	default:
		return none, fmt.Errorf("the store: %s", err.Other())
	}
}
