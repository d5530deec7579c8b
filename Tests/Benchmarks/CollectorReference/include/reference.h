// The reference for the benchmarks of the collector and the encoders: the same work in plain C.
#ifndef COLLECTOR_REFERENCE_H
#define COLLECTOR_REFERENCE_H

#include <stddef.h>
#include <stdint.h>

typedef struct {
  uint32_t established, listening, udp, interfaces, addresses;
  uint64_t bytes_in, bytes_out, packets_in, packets_out, busy_ticks;
} reference_counts;

// Makes one complete collection over netlink. Returns 0 or an errno. Keeps the sockets open.
int reference_collect(reference_counts *counts);

typedef struct {
  char interface[16];
  uint16_t port;
} reference_port;

typedef struct {
  char interface[16];
  uint32_t remote_address;
  uint16_t local_port, remote_port;
} reference_connection;

typedef struct {
  uint64_t id;
  const reference_port *tcp_ports, *udp_ports;
  const reference_connection *connections;
  size_t tcp_count, udp_count, connection_count;
  uint64_t total;
  uint64_t bytes_in, bytes_out, packets_in, packets_out;
} reference_report;

// Writes the report with long names to `buffer`, which must be large enough. Returns its size.
size_t reference_encode_json(const reference_report *report, uint8_t *buffer);
size_t reference_encode_cbor(const reference_report *report, uint8_t *buffer);

#endif
