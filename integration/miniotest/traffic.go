package miniotest

import (
	"bufio"
	"fmt"
	"net/http"
	"regexp"
	"strconv"
)

// Traffic is what a server has counted since it was started.
type Traffic struct {
	Received, Sent int64            // bytes of bodies
	Calls          map[string]int64 // requests by the name of the S3 operation
}

// trafficLine is one counter of MinIO's metrics version 3, without the labels that are not looked at.
var trafficLine = regexp.MustCompile(`^minio_api_requests_(total|traffic_received_bytes|traffic_sent_bytes)\{(?:name="([^"]*)",)?.*type="s3"\} (\S+)$`)

// Traffic asks the server.
func (d *Dedicated) Traffic() (t Traffic, err error) {
	resp, err := http.Get(d.Endpoint + "/minio/metrics/v3/api/requests")
	if err != nil {
		return t, err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return t, fmt.Errorf("ask the server what it has counted: %s", resp.Status)
	}
	t.Calls = map[string]int64{}
	lines := bufio.NewScanner(resp.Body)
	for lines.Scan() {
		m := trafficLine.FindStringSubmatch(lines.Text())
		if m == nil {
			continue
		}
		v, err := strconv.ParseFloat(m[3], 64)
		if err != nil {
			return t, fmt.Errorf("ask the server what it has counted: %q", lines.Text())
		}
		switch m[1] {
		case "total":
			t.Calls[m[2]] += int64(v)
		case "traffic_received_bytes":
			t.Received += int64(v)
		default:
			t.Sent += int64(v)
		}
	}
	return t, lines.Err()
}
