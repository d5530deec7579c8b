#define _GNU_SOURCE
#include "reference.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/if_link.h>
#include <linux/inet_diag.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <linux/sock_diag.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static _Alignas(8) char buffer[32768];
static struct inet_diag_msg sample[3][50];
static uint32_t sample_counts[3];

static int diagnostics = -1, route = -1;

static int dump(int s, void *request, size_t size, void (*each)(const struct nlmsghdr *, void *), void *context) {
  if (send(s, request, size, 0) < 0) return errno;
  for (;;) {
    ssize_t count = recv(s, buffer, sizeof buffer, 0);
    if (count < 0) return errno;
    int rest = (int)count;
    for (struct nlmsghdr *m = (struct nlmsghdr *)buffer; NLMSG_OK(m, rest); m = NLMSG_NEXT(m, rest)) {
      if (m->nlmsg_type == NLMSG_DONE) {
        int status = *(int *)NLMSG_DATA(m);
        return status < 0 ? -status : 0;
      }
      if (m->nlmsg_type == NLMSG_ERROR) return -((struct nlmsgerr *)NLMSG_DATA(m))->error;
      each(m, context);
    }
  }
}

static void keep(int list, const struct inet_diag_msg *socket) {
  if (sample_counts[list] < 50) sample[list][sample_counts[list]++] = *socket;
}

static void tcp_socket(const struct nlmsghdr *m, void *context) {
  reference_counts *counts = context;
  const struct inet_diag_msg *socket = NLMSG_DATA(m);
  if (socket->idiag_state == 1) {
    counts->established++;
    keep(0, socket);
  } else {
    counts->listening++;
    keep(1, socket);
  }
}

static void udp_socket(const struct nlmsghdr *m, void *context) {
  reference_counts *counts = context;
  counts->udp++;
  keep(2, NLMSG_DATA(m));
}

static void interface_statistics(const struct nlmsghdr *m, void *context) {
  reference_counts *counts = context;
  counts->interfaces++;
  int rest = (int)NLMSG_PAYLOAD(m, sizeof(struct if_stats_msg));
  struct rtattr *a = (struct rtattr *)((char *)NLMSG_DATA(m) + sizeof(struct if_stats_msg));
  for (; RTA_OK(a, rest); a = RTA_NEXT(a, rest)) {
    if (a->rta_type != IFLA_STATS_LINK_64) continue;
    struct rtnl_link_stats64 s;
    memcpy(&s, RTA_DATA(a), sizeof s);
    counts->bytes_in += s.rx_bytes;
    counts->bytes_out += s.tx_bytes;
    counts->packets_in += s.rx_packets;
    counts->packets_out += s.tx_packets;
  }
}

static void interface_address(const struct nlmsghdr *m, void *context) {
  (void)m;
  ((reference_counts *)context)->addresses++;
}

static int open_netlink(int *s, int protocol) {
  if (*s < 0) *s = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, protocol);
  return *s < 0 ? errno : 0;
}

int reference_collect(reference_counts *counts) {
  memset(counts, 0, sizeof *counts);
  memset(sample_counts, 0, sizeof sample_counts);
  int error = open_netlink(&diagnostics, NETLINK_SOCK_DIAG);
  if (!error) error = open_netlink(&route, NETLINK_ROUTE);
  if (error) return error;

  struct {
    struct nlmsghdr head;
    struct inet_diag_req body;
  } tcp = {{sizeof tcp, TCPDIAG_GETSOCK, NLM_F_REQUEST | NLM_F_DUMP, 1, 0}, {.idiag_family = AF_INET}};
  tcp.body.idiag_states = 1 << 1 | 1 << 10;
  if ((error = dump(diagnostics, &tcp, sizeof tcp, tcp_socket, counts))) return error;
  for (int i = 0; i < 2; i++) {
    struct {
      struct nlmsghdr head;
      struct inet_diag_req_v2 body;
    } udp = {{sizeof udp, SOCK_DIAG_BY_FAMILY, NLM_F_REQUEST | NLM_F_DUMP, 1, 0}, {.sdiag_protocol = IPPROTO_UDP}};
    udp.body.sdiag_family = i ? AF_INET6 : AF_INET;
    udp.body.idiag_states = ~0u;
    if ((error = dump(diagnostics, &udp, sizeof udp, udp_socket, counts))) return error;
  }
  struct {
    struct nlmsghdr head;
    struct if_stats_msg body;
  } statistics = {{sizeof statistics, RTM_GETSTATS, NLM_F_REQUEST | NLM_F_DUMP, 1, 0}, {.filter_mask = 1}};
  if ((error = dump(route, &statistics, sizeof statistics, interface_statistics, counts))) return error;
  struct {
    struct nlmsghdr head;
    struct ifaddrmsg body;
  } addresses = {{sizeof addresses, RTM_GETADDR, NLM_F_REQUEST | NLM_F_DUMP, 1, 0}, {0}};
  if ((error = dump(route, &addresses, sizeof addresses, interface_address, counts))) return error;

  char text[1024];
  int file = open("/proc/stat", O_RDONLY | O_CLOEXEC);
  if (file < 0) return errno;
  ssize_t size = read(file, text, sizeof text - 1);
  close(file);
  if (size < 4) return EIO;
  text[size] = 0;
  char *place = text + 4;
  for (int column = 0; column < 10; column++) {
    uint64_t ticks = strtoull(place, &place, 10);
    if (column != 3 && column != 4) counts->busy_ticks += ticks;
  }
  return 0;
}
