package digest

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"sync"
)

// What a file that is not as CloudTrail writes it fails with. Errors of whoever is read from are returned as they are.
var (
	errNotGzip  = errors.New("it is not a gzip file")
	errBehind   = errors.New("there are bytes behind the end of the gzip file, which no hash covers")
	errTooLarge = errors.New("it is larger than any that CloudTrail writes")
)

// unpacker has what unpacking needs, so that thousands of small files do not each allocate it.
type unpacker struct {
	source source
	input  *bufio.Reader
	gzip   gzip.Reader
	buffer []byte
}

const bufferSize = 32 << 10

var unpackers = sync.Pool{New: func() any {
	return &unpacker{input: bufio.NewReaderSize(nil, bufferSize), buffer: make([]byte, bufferSize)}
}}

// source reads what is unpacked, and remembers how much it was and whether reading failed: otherwise an interrupted
// connection would look like a file that is too short.
type source struct {
	reader io.Reader
	bytes  int64
	err    error
}

// Read implements io.Reader.
func (s *source) Read(p []byte) (int, error) {
	n, err := s.reader.Read(p)
	s.bytes += int64(n)
	if err != nil && !errors.Is(err, io.EOF) {
		s.err = err
	}
	return n, err
}

// gunzip writes the content of a gzip file of a single member to a writer, and returns how many compressed bytes it has
// read. Content beyond a limit is not written. It fails with errNotGzip, errBehind, errTooLarge, and the errors of the
// reader and the writer.
func gunzip(to io.Writer, from io.Reader, limit int64) (int64, error) {
	u, ok := unpackers.Get().(*unpacker)
	if !ok {
		return 0, errNotGzip
	}
	defer u.free()

	u.source = source{reader: from}
	u.input.Reset(&u.source)
	err := u.unpack(to, limit)
	if u.source.err != nil {
		err = u.source.err
	}
	return u.source.bytes, err
}

func (u *unpacker) unpack(to io.Writer, limit int64) error {
	if err := u.gzip.Reset(u.input); err != nil {
		return fmt.Errorf("%w: %w", errNotGzip, err)
	}
	u.gzip.Multistream(false)

	reader := &unpacked{from: &u.gzip}
	n, err := io.CopyBuffer(struct{ io.Writer }{to}, io.LimitReader(reader, limit+1), u.buffer)
	switch {
	case reader.err != nil:
		return fmt.Errorf("%w: %w", errNotGzip, reader.err)
	case err != nil:
		return err
	case n > limit:
		return errTooLarge
	}

	// The reader takes no byte more than the member has, as its input is a ByteReader.
	if _, err := u.input.ReadByte(); !errors.Is(err, io.EOF) {
		return errBehind
	}
	return nil
}

// unpacked reads what is unpacked, and remembers why that failed: the writer's errors are other ones.
type unpacked struct {
	from io.Reader
	err  error
}

// Read implements io.Reader.
func (u *unpacked) Read(p []byte) (int, error) {
	n, err := u.from.Read(p)
	if err != nil && !errors.Is(err, io.EOF) {
		u.err = err
	}
	return n, err
}

// free forgets the file, and leaves the rest to the next one.
func (u *unpacker) free() {
	u.source = source{}
	u.input.Reset(bytes.NewReader(nil))
	unpackers.Put(u)
}
