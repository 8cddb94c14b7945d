// verify checks a sallyport log with nothing of sallyport's: the C2SP formats as Go's own module mirror
// implements them (golang.org/x/mod/sumdb/{note,tlog}; Debian package golang-golang-x-mod-dev).
//
//	verify DATA_DIR|LOG_DIR VKEY [INDEX:PROOF_FILE ...]
//
// It checks the checkpoint's signature, recomputes the root from the entry bundles, compares every hash tile
// with what the tlog package says it must hold, and each .tlog-proof with the entry at its index.
package main

import (
	"bytes"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

// failure is what does not hold.
type failure string

func fail(format string, args ...interface{}) {
	panic(failure(fmt.Sprintf(format, args...)))
}

// holds says whether f ran without a failure, and which one it was.
func holds(f func()) (why string) {
	defer func() {
		if r := recover(); r != nil {
			found, ok := r.(failure)
			if !ok {
				panic(r)
			}
			why = string(found)
		}
	}()
	f()
	return ""
}

func check(err error, what string) {
	if err != nil {
		fail("%s: %v", what, err)
	}
}

// canonical refuses base64 in another spelling: Go's decoder passes over the unused bits of the last character.
func canonical(text, what string) {
	raw, err := base64.StdEncoding.DecodeString(text)
	check(err, what)
	if base64.StdEncoding.EncodeToString(raw) != text {
		fail("%s is base64 in another spelling", what)
	}
}

// storedHashes is the dense hash storage of package tlog, in memory.
type storedHashes []tlog.Hash

func (s storedHashes) ReadHashes(indexes []int64) ([]tlog.Hash, error) {
	out := make([]tlog.Hash, len(indexes))
	for i, x := range indexes {
		if x >= int64(len(s)) {
			return nil, fmt.Errorf("hash %d is beyond the tree", x)
		}
		out[i] = s[x]
	}
	return out, nil
}

// openCheckpoint verifies the note and returns its tree.
func openCheckpoint(vkey string, text []byte) tlog.Tree {
	verifier, err := note.NewVerifier(vkey)
	check(err, "verifier key")
	opened, err := note.Open(text, note.VerifierList(verifier))
	check(err, "signature of the checkpoint")
	for _, line := range strings.Split(strings.TrimSuffix(string(text[len(opened.Text)+1:]), "\n"), "\n") {
		canonical(line[strings.LastIndex(line, " ")+1:], "a signature")
	}
	lines := strings.Split(opened.Text, "\n")
	if len(lines) != 4 || lines[3] != "" {
		fail("the checkpoint has %d lines, not three", len(lines)-1)
	}
	if lines[0] != verifier.Name() {
		fail("the checkpoint's origin %q is not the key's name", lines[0])
	}
	size, err := strconv.ParseInt(lines[1], 10, 64)
	check(err, "tree size")
	canonical(lines[2], "root hash")
	root, err := tlog.ParseHash(lines[2])
	check(err, "root hash")
	return tlog.Tree{N: size, Hash: root}
}

// number is <N> of the tile path: groups of three digits, all but the last with an x.
func number(n int64) string {
	s := fmt.Sprintf("%03d", n%1000)
	for n >= 1000 {
		n /= 1000
		s = fmt.Sprintf("x%03d/%s", n%1000, s)
	}
	return s
}

// path names the tile or bundle that holds [256·n, 256·n+256) of `total` hashes or entries.
func path(log, level string, n, total int64) string {
	p := filepath.Join(log, "tile", level, number(n))
	if rest := total - n*256; rest < 256 {
		p += fmt.Sprintf(".p/%d", rest)
	}
	return p
}

// readEntries returns all entries of the bundles.
func readEntries(log string, size int64) [][]byte {
	var entries [][]byte
	for n := int64(0); n*256 < size; n++ {
		name := path(log, "entries", n, size)
		bundle, err := os.ReadFile(name)
		check(err, "entry bundle")
		want := size - n*256
		if want > 256 {
			want = 256
		}
		for i := int64(0); i < want; i++ {
			if len(bundle) < 2 || len(bundle) < 2+int(binary.BigEndian.Uint16(bundle)) {
				fail("%s ends inside entry %d", name, n*256+i)
			}
			length := int(binary.BigEndian.Uint16(bundle))
			entries = append(entries, bundle[2:2+length])
			bundle = bundle[2+length:]
		}
		if len(bundle) != 0 {
			fail("%s is longer than its entries", name)
		}
	}
	return entries
}

// checkTiles compares every hash tile of the log with the tree.
func checkTiles(log string, size int64, hashes storedHashes) int {
	tiles := 0
	for level := 0; size>>(8*uint(level)) > 0; level++ {
		total := size >> (8 * uint(level))
		for n := int64(0); n*256 < total; n++ {
			width := total - n*256
			if width > 256 {
				width = 256
			}
			want, err := tlog.ReadTileData(tlog.Tile{H: 8, L: level, N: n, W: int(width)}, hashes)
			check(err, "computing a tile")
			name := path(log, strconv.Itoa(level), n, total)
			got, err := os.ReadFile(name)
			check(err, "hash tile")
			if !bytes.Equal(got, want) {
				fail("%s does not hold the hashes of its entries", name)
			}
			tiles++
		}
	}
	return tiles
}

func checkNamedProof(vkey, argument string, entries [][]byte) {
	parts := strings.SplitN(argument, ":", 2)
	if len(parts) != 2 {
		fail("%q is not INDEX:PROOF_FILE", argument)
	}
	want, err := strconv.ParseInt(parts[0], 10, 64)
	check(err, "index")
	index, hashes := checkProof(vkey, parts[1], entries[want])
	if index != want {
		fail("%s is a proof of entry %d", parts[1], index)
	}
	fmt.Printf("entry %d is in the signed log: proof of %d hashes\n", want, hashes)
}

// checkProof verifies a .tlog-proof of the entry and returns its index and number of hashes.
func checkProof(vkey, file string, entry []byte) (int64, int) {
	text, err := os.ReadFile(file)
	check(err, "proof file")
	const magic = "c2sp.org/tlog-proof@v1\n"
	head, checkpoint, found := strings.Cut(strings.TrimPrefix(string(text), magic), "\n\n")
	if !strings.HasPrefix(string(text), magic) || !found {
		fail("%s is not a tlog-proof", file)
	}
	lines := strings.Split(head, "\n")
	if strings.HasPrefix(lines[0], "extra ") && len(lines) > 1 {
		lines = lines[1:]
	}
	number := strings.TrimPrefix(lines[0], "index ")
	index, err := strconv.ParseInt(number, 10, 64)
	check(err, "index")
	if lines[0] != "index "+strconv.FormatInt(index, 10) || index < 0 {
		fail("%s has no canonical index", file)
	}
	var proof tlog.RecordProof
	for _, line := range lines[1:] {
		canonical(line, "hash of a proof")
		hash, err := tlog.ParseHash(line)
		check(err, "hash of a proof")
		proof = append(proof, hash)
	}
	tree := openCheckpoint(vkey, []byte(checkpoint))
	if index >= tree.N {
		fail("%s is of an entry behind the tree", file)
	}
	check(tlog.CheckRecord(proof, tree.N, tree.Hash, index, tlog.RecordHash(entry)), "inclusion proof")
	return index, len(proof)
}

// checkLog verifies a whole log and returns its entries and how many tiles it has.
func checkLog(log, vkey string) ([][]byte, int) {
	text, err := os.ReadFile(filepath.Join(log, "checkpoint"))
	check(err, "checkpoint")
	tree := openCheckpoint(vkey, text)
	if tree.N > 1<<30 {
		fail("a tree of %d entries", tree.N)
	}
	entries := readEntries(log, tree.N)
	var hashes storedHashes
	for i, entry := range entries {
		more, err := tlog.StoredHashes(int64(i), entry, hashes)
		check(err, "hashing an entry")
		hashes = append(hashes, more...)
	}
	root, err := tlog.TreeHash(tree.N, hashes)
	check(err, "root")
	if root != tree.Hash {
		fail("the entries give the root %v, the signed checkpoint says %v", root, tree.Hash)
	}
	return entries, checkTiles(log, tree.N, hashes)
}

// judge prints for DIR/0, DIR/1, … what this verifier says of the log and of the proof in it.
func judge(dir, vkey string) {
	word := map[bool]string{true: "ok", false: "bad"}
	for i := 0; ; i++ {
		one := filepath.Join(dir, strconv.Itoa(i))
		entry, err := os.ReadFile(filepath.Join(one, "entry"))
		if err != nil {
			return
		}
		log := holds(func() { checkLog(filepath.Join(one, "log"), vkey) })
		proof := holds(func() { checkProof(vkey, filepath.Join(one, "proof"), entry) })
		fmt.Println(word[log == ""], word[proof == ""])
	}
}

func main() {
	if len(os.Args) < 3 {
		fmt.Fprintln(os.Stderr, "usage: verify DATA_DIR VKEY [INDEX:PROOF_FILE ...]\n       verify --judge DIR VKEY")
		os.Exit(2)
	}
	if os.Args[1] == "--judge" {
		judge(os.Args[2], os.Args[3])
		return
	}
	log, vkey := os.Args[1], os.Args[2]
	if _, err := os.Stat(filepath.Join(log, "log")); err == nil {
		log = filepath.Join(log, "log")
	}
	why := holds(func() {
		entries, tiles := checkLog(log, vkey)
		fmt.Printf("golang.org/x/mod: signature and root of %d entries agree\n", len(entries))
		fmt.Printf("%d hash tiles agree\n", tiles)
		for _, argument := range os.Args[3:] {
			checkNamedProof(vkey, argument, entries)
		}
	})
	if why != "" {
		fmt.Println("FAIL " + why)
		os.Exit(1)
	}
}
