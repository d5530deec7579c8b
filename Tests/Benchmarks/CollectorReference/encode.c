#include "reference.h"

#include <string.h>

typedef uint8_t *cursor;

#define PUT(p, text) (memcpy(p, text, sizeof text - 1), p + sizeof text - 1)

static cursor put_text(cursor p, const char *text) {
  size_t size = strlen(text);
  memcpy(p, text, size);
  return p + size;
}

static cursor put_number(cursor p, uint64_t value) {
  uint8_t digits[20];
  int count = 0;
  do {
    digits[count++] = '0' + value % 10;
    value /= 10;
  } while (value);
  while (count) *p++ = digits[--count];
  return p;
}

static cursor put_endpoint(cursor p, uint32_t address, uint16_t port) {
  for (int shift = 24; shift >= 0; shift -= 8) {
    p = put_number(p, address >> shift & 0xFF);
    *p++ = shift ? '.' : ':';
  }
  return put_number(p, port);
}

static cursor json_ports(cursor p, const reference_port *ports, size_t count, uint64_t total) {
  p = PUT(p, "{\"ports\":[");
  for (size_t i = 0; i < count; i++) {
    if (i) *p++ = ',';
    p = PUT(p, "{\"interface\":\"");
    p = put_text(p, ports[i].interface);
    p = PUT(p, "\",\"port\":");
    p = put_number(p, ports[i].port);
    *p++ = '}';
  }
  p = PUT(p, "],\"total\":");
  p = put_number(p, total);
  *p++ = '}';
  return p;
}

size_t reference_encode_json(const reference_report *r, uint8_t *buffer) {
  cursor p = buffer;
  p = PUT(p, "{\"header\":{\"report_id\":");
  p = put_number(p, r->id);
  p = PUT(p, ",\"version\":\"1.0\"},\"metrics\":{\"listening_tcp_ports\":");
  p = json_ports(p, r->tcp_ports, r->tcp_count, r->total);
  p = PUT(p, ",\"listening_udp_ports\":");
  p = json_ports(p, r->udp_ports, r->udp_count, r->total);
  p = PUT(p, ",\"network_stats\":{\"bytes_in\":");
  p = put_number(p, r->bytes_in);
  p = PUT(p, ",\"bytes_out\":");
  p = put_number(p, r->bytes_out);
  p = PUT(p, ",\"packets_in\":");
  p = put_number(p, r->packets_in);
  p = PUT(p, ",\"packets_out\":");
  p = put_number(p, r->packets_out);
  p = PUT(p, "},\"tcp_connections\":{\"established_connections\":{\"connections\":[");
  for (size_t i = 0; i < r->connection_count; i++) {
    const reference_connection *c = &r->connections[i];
    if (i) *p++ = ',';
    p = PUT(p, "{\"local_interface\":\"");
    p = put_text(p, c->interface);
    p = PUT(p, "\",\"local_port\":");
    p = put_number(p, c->local_port);
    p = PUT(p, ",\"remote_addr\":\"");
    p = put_endpoint(p, c->remote_address, c->remote_port);
    p = PUT(p, "\"}");
  }
  p = PUT(p, "],\"total\":");
  p = put_number(p, r->total);
  p = PUT(p, "}}}}");
  return p - buffer;
}

static cursor head(cursor p, uint8_t type, uint64_t value) {
  int bytes = value < 24 ? 0 : value <= 0xFF ? 1 : value <= 0xFFFF ? 2 : value <= 0xFFFFFFFF ? 4 : 8;
  *p++ = type << 5 | (bytes == 0 ? value : bytes == 1 ? 24 : bytes == 2 ? 25 : bytes == 4 ? 26 : 27);
  for (int i = bytes - 1; i >= 0; i--) *p++ = value >> 8 * i;
  return p;
}

static cursor cbor_text(cursor p, const char *text, size_t size) {
  p = head(p, 3, size);
  memcpy(p, text, size);
  return p + size;
}

#define KEY(p, text) cbor_text(p, text, sizeof text - 1)

static cursor cbor_ports(cursor p, const reference_port *ports, size_t count, uint64_t total) {
  p = head(p, 5, 2);
  p = KEY(p, "ports");
  p = head(p, 4, count);
  for (size_t i = 0; i < count; i++) {
    p = head(p, 5, 2);
    p = KEY(p, "interface");
    p = cbor_text(p, ports[i].interface, strlen(ports[i].interface));
    p = KEY(p, "port");
    p = head(p, 0, ports[i].port);
  }
  p = KEY(p, "total");
  return head(p, 0, total);
}

size_t reference_encode_cbor(const reference_report *r, uint8_t *buffer) {
  cursor p = buffer;
  p = head(p, 5, 2);
  p = KEY(p, "header");
  p = head(p, 5, 2);
  p = KEY(p, "report_id");
  p = head(p, 0, r->id);
  p = KEY(p, "version");
  p = KEY(p, "1.0");
  p = KEY(p, "metrics");
  p = head(p, 5, 4);
  p = KEY(p, "listening_tcp_ports");
  p = cbor_ports(p, r->tcp_ports, r->tcp_count, r->total);
  p = KEY(p, "listening_udp_ports");
  p = cbor_ports(p, r->udp_ports, r->udp_count, r->total);
  p = KEY(p, "network_stats");
  p = head(p, 5, 4);
  p = KEY(p, "bytes_in");
  p = head(p, 0, r->bytes_in);
  p = KEY(p, "bytes_out");
  p = head(p, 0, r->bytes_out);
  p = KEY(p, "packets_in");
  p = head(p, 0, r->packets_in);
  p = KEY(p, "packets_out");
  p = head(p, 0, r->packets_out);
  p = KEY(p, "tcp_connections");
  p = head(p, 5, 1);
  p = KEY(p, "established_connections");
  p = head(p, 5, 2);
  p = KEY(p, "connections");
  p = head(p, 4, r->connection_count);
  for (size_t i = 0; i < r->connection_count; i++) {
    const reference_connection *c = &r->connections[i];
    char text[24];
    size_t size = put_endpoint((cursor)text, c->remote_address, c->remote_port) - (cursor)text;
    p = head(p, 5, 3);
    p = KEY(p, "local_interface");
    p = cbor_text(p, c->interface, strlen(c->interface));
    p = KEY(p, "local_port");
    p = head(p, 0, c->local_port);
    p = KEY(p, "remote_addr");
    p = cbor_text(p, text, size);
  }
  p = KEY(p, "total");
  p = head(p, 0, r->total);
  return p - buffer;
}
