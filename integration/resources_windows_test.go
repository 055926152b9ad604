package integration_test

// Windows tells the peak memory of a process in another way, and has no limit on the size of files: what resources_test.go checks is not
// checked there.
const measure = "LIFEBOAT_INTEGRATION_MEASURE"

func beMeasure() int { return 1 }
