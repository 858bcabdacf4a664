package metrics

import (
	"github.com/prometheus/client_golang/prometheus"
)

// Connections exports the number of the port's open connections, and how many were closed, by reason.
func (m *Metrics) Connections(open func() int, closed map[string]func() uint64) {
	m.registry.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Namespace: namespace, Name: "connections", Help: "Open connections of the port.",
	}, func() float64 { return float64(open()) }))
	for reason, of := range closed {
		m.registry.MustRegister(prometheus.NewCounterFunc(prometheus.CounterOpts{
			Namespace: namespace, Name: "closed_connections_total", Help: "Connections that the program closed because of a limit.",
			ConstLabels: prometheus.Labels{"reason": reason},
		}, func() float64 { return float64(of()) }))
	}
}
