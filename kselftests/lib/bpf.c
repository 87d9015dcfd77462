// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <stdint.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>
#include <linux/if_ether.h>
#include <linux/if_link.h>
#include <linux/if_tun.h>

#include "bpf.h"
#include "ktap.h"
#include "netdev.h"
#include "nl.h"

/* How often a program is loaded that the kernel says to load again. */
#define LOADS 10

#define IPV4_BYTES 20
/* No program may have more than 4096 instructions everywhere. */
#define SLOW_INSNS 4000
#define WHOLE_FRAME 0xffff

static int bpf_call(enum bpf_cmd cmd, union bpf_attr *attr)
{
	return (int)syscall(SYS_bpf, cmd, attr, sizeof(*attr));
}

static u64 address(const void *p)
{
	return (u64)(uintptr_t)p;
}

static int bpf_map_new(enum bpf_map_type type, u32 key_size, u32 value_size,
		       u32 entries)
{
	union bpf_attr attr = {
		.map_type = type,
		.key_size = key_size,
		.value_size = value_size,
		.max_entries = entries,
	};
	int fd = bpf_call(BPF_MAP_CREATE, &attr);

	if (fd < 0)
		ktap_bail("BPF map of type %d: %s", type, strerror(errno));
	return fd;
}

static void bpf_map_put(int map, const void *key, const void *value)
{
	union bpf_attr attr = {
		.map_fd = (u32)map,
		.key = address(key),
		.value = address(value),
	};

	if (bpf_call(BPF_MAP_UPDATE_ELEM, &attr))
		ktap_bail("BPF map entry: %s", strerror(errno));
}

static int bpf_load(enum bpf_prog_type type, const struct bpf_insn *insn,
		    unsigned int n)
{
	static char log[4096];
	union bpf_attr attr = {
		.prog_type = type,
		.insn_cnt = n,
		.insns = address(insn),
		.license = address("GPL"),
	};
	unsigned int tries = LOADS;
	int fd;

	/* The verifier gives up for a signal, or work that io_uring has queued. */
	do {
		fd = bpf_call(BPF_PROG_LOAD, &attr);
	} while (fd < 0 && errno == EAGAIN && --tries);
	if (fd >= 0)
		return fd;
	/* Once more, to be told why. */
	attr.log_buf = address(log);
	attr.log_size = sizeof(log);
	attr.log_level = 1;
	bpf_call(BPF_PROG_LOAD, &attr);
	ktap_bail("BPF program: %s: %s", strerror(errno), log);
}

int bpf_redirect_to(const char *dev)
{
	u32 slot = 0, ifindex = (u32)netdev_index(dev);
	int map = bpf_map_new(BPF_MAP_TYPE_DEVMAP, sizeof(slot),
			      sizeof(ifindex), 1);
	const struct bpf_insn insn[] = {
		BPF_MAP(BPF_REG_1, map),
		BPF_MAP_HIGH(),
		BPF_SET(BPF_REG_2, 0),
		BPF_SET(BPF_REG_3, 0),
		BPF_HELPER(BPF_FUNC_redirect_map),
		BPF_RETURN(),
	};
	int prog;

	bpf_map_put(map, &slot, &ifindex);
	prog = bpf_load(BPF_PROG_TYPE_XDP, insn, ARRAY_SIZE(insn));
	/* The program keeps it. */
	close(map);
	return prog;
}

int bpf_send_back(void)
{
	const struct bpf_insn insn[] = {
		BPF_SET(BPF_REG_0, XDP_TX),
		BPF_RETURN(),
	};

	return bpf_load(BPF_PROG_TYPE_XDP, insn, ARRAY_SIZE(insn));
}

void bpf_xdp_run(int prog, const void *frame, size_t len, unsigned int n)
{
	union bpf_attr attr = {
		.test = {
			.prog_fd = (u32)prog,
			.data_in = address(frame),
			.data_size_in = (u32)len,
			.repeat = n,
			.flags = BPF_F_TEST_XDP_LIVE_FRAMES,
			.batch_size = n,
		},
	};

	if (bpf_call(BPF_PROG_TEST_RUN, &attr))
		ktap_bail("running an XDP program: %s", strerror(errno));
}

void bpf_xdp_attach(const char *dev, int prog)
{
	struct ifinfomsg ifi = {
		.ifi_family = AF_UNSPEC,
		.ifi_index = netdev_index(dev),
	};
	struct rtattr *xdp;
	struct nl_req req;
	int err;

	nl_start(&req, RTM_NEWLINK, 0, &ifi, sizeof(ifi));
	xdp = nl_nest(&req, IFLA_XDP | NLA_F_NESTED);
	nl_put_u32(&req, IFLA_XDP_FD, (u32)prog);
	nl_put_u32(&req, IFLA_XDP_FLAGS, XDP_FLAGS_DRV_MODE);
	nl_nest_end(&req, xdp);
	err = nl_talk(&req, NULL, NULL);
	if (err)
		ktap_bail("XDP on %s: %s", dev, strerror(-err));
}

void bpf_steer_by_port(int tun_fd, bool ether, u16 first)
{
	const struct bpf_insn insn[] = {
		BPF_COPY(BPF_REG_6, BPF_REG_1),
		BPF_FRAME_U16((ether ? ETH_HLEN : 0) + IPV4_BYTES),
		BPF_INSN(BPF_ALU64 | BPF_SUB | BPF_K, BPF_REG_0, 0, 0, first),
		BPF_RETURN(),
	};
	int prog = bpf_load(BPF_PROG_TYPE_SOCKET_FILTER, insn, ARRAY_SIZE(insn));

	if (ioctl(tun_fd, TUNSETSTEERINGEBPF, &prog))
		ktap_bail("TUNSETSTEERINGEBPF: %s", strerror(errno));
	close(prog);
}

void bpf_filter(int tun_fd, const struct bpf_insn *insn, unsigned int n)
{
	int prog = bpf_load(BPF_PROG_TYPE_SOCKET_FILTER, insn, n);

	if (ioctl(tun_fd, TUNSETFILTEREBPF, &prog))
		ktap_bail("TUNSETFILTEREBPF: %s", strerror(errno));
	/* The device has a reference of its own. */
	close(prog);
}

void bpf_slow_filter(int tun_fd)
{
	static struct bpf_insn insn[SLOW_INSNS];
	unsigned int i;

	for (i = 0; i < SLOW_INSNS - 1; i++)
		insn[i] = BPF_SET(BPF_REG_0, WHOLE_FRAME);
	insn[i] = BPF_RETURN();
	bpf_filter(tun_fd, insn, SLOW_INSNS);
}
