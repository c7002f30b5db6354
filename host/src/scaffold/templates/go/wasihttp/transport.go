package wasihttp

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"

	outgoing "{{module}}/gen/wasi_http_outgoing_handler"
	types "{{module}}/gen/wasi_http_types"
	wit "go.bytecodealliance.org/pkg/wit/types"
)

// A Transport is an http.RoundTripper that sends requests by the host, to the places
// that `outbound` in the plugin's settings names. http.Get and the like use it.
type Transport struct{}

func init() {
	http.DefaultTransport = Transport{}
}

// RoundTrip sends one request. The deadline of its context bounds the wait for the
// answer's beginning.
func (Transport) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.Body != nil {
		defer r.Body.Close()
	}
	options, err := optionsOf(r.Context())
	if err != nil {
		return nil, err
	}
	request := requestTo(r)
	whole := request.Body().Ok()
	sent := outgoing.Handle(request, options)
	if sent.IsErr() {
		return nil, refused(r, sent.Err())
	}
	future := sent.Ok()
	defer future.Drop()
	if err := send(whole, r.Body); err != nil {
		return nil, err
	}
	ready := future.Subscribe()
	ready.Block()
	ready.Drop()
	came := future.Get().Some().Ok()
	if came.IsErr() {
		return nil, refused(r, came.Err())
	}
	return answerTo(r, came.Ok()), nil
}

func requestTo(r *http.Request) *types.OutgoingRequest {
	header := r.Header.Clone()
	if r.ContentLength > 0 {
		header.Set("Content-Length", strconv.FormatInt(r.ContentLength, 10))
	}
	scheme := types.MakeSchemeHttps()
	if r.URL.Scheme == "http" {
		scheme = types.MakeSchemeHttp()
	}
	request := types.MakeOutgoingRequest(fieldsOf(header))
	request.SetMethod(types.MakeMethodOther(r.Method))
	request.SetScheme(wit.Some(scheme))
	request.SetAuthority(wit.Some(r.URL.Host))
	request.SetPathWithQuery(wit.Some(r.URL.RequestURI()))
	return request
}

func optionsOf(ctx context.Context) (none wit.Option[*types.RequestOptions], _ error) {
	if err := ctx.Err(); err != nil {
		return none, err
	}
	deadline, set := ctx.Deadline()
	if !set {
		return none, nil
	}
	left := wit.Some(uint64(max(time.Until(deadline), time.Millisecond)))
	options := types.MakeRequestOptions()
	options.SetConnectTimeout(left)
	options.SetFirstByteTimeout(left)
	return wit.Some(options), nil
}

// send sends a request's body. Who answers before it has taken all is listened to.
func send(whole *types.OutgoingBody, from io.Reader) error {
	stream := whole.Write().Ok()
	buffer := make([]byte, writeMax)
	for from != nil {
		read, err := from.Read(buffer)
		if write(stream, buffer[:read]) != nil || err == io.EOF {
			break
		}
		if err != nil {
			stream.Drop()
			// To drop it unfinished is to break it off.
			whole.Drop()
			return err
		}
	}
	stream.Drop()
	types.OutgoingBodyFinish(whole, wit.None[*types.Fields]())
	return nil
}

func answerTo(r *http.Request, came *types.IncomingResponse) *http.Response {
	status := int(came.Status())
	header := headerOf(came.Headers())
	return &http.Response{
		Status:        fmt.Sprintf("%d %s", status, http.StatusText(status)),
		StatusCode:    status,
		Proto:         "HTTP/1.1",
		ProtoMajor:    1,
		ProtoMinor:    1,
		Header:        header,
		Body:          &body{consume: came.Consume},
		ContentLength: lengthOf(header),
		Request:       r,
	}
}

// What can be wrong, in the order of the tags of types.ErrorCode.
var errorNames = strings.Fields(`DNS-timeout DNS-error destination-not-found
	destination-unavailable destination-IP-prohibited destination-IP-unroutable
	connection-refused connection-terminated connection-timeout connection-read-timeout
	connection-write-timeout connection-limit-reached TLS-protocol-error
	TLS-certificate-error TLS-alert-received HTTP-request-denied
	HTTP-request-length-required HTTP-request-body-size HTTP-request-method-invalid
	HTTP-request-URI-invalid HTTP-request-URI-too-long HTTP-request-header-section-size
	HTTP-request-header-size HTTP-request-trailer-section-size HTTP-request-trailer-size
	HTTP-response-incomplete HTTP-response-header-section-size HTTP-response-header-size
	HTTP-response-body-size HTTP-response-trailer-section-size HTTP-response-trailer-size
	HTTP-response-transfer-coding HTTP-response-content-coding HTTP-response-timeout
	HTTP-upgrade-failed HTTP-protocol-error loop-detected configuration-error
	internal-error`)

func refused(r *http.Request, code types.ErrorCode) error {
	switch code.Tag() {
	case types.ErrorCodeHttpRequestDenied:
		return fmt.Errorf("the plugin's settings grant no request to %s: name it in `outbound`", r.URL.Host)
	case types.ErrorCodeInternalError:
		return fmt.Errorf("%s", code.InternalError().SomeOr("internal-error"))
	default:
		return fmt.Errorf("%s", errorNames[code.Tag()])
	}
}
