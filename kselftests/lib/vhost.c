// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <unistd.h>
#include <linux/vhost.h>
#include <linux/virtio_net.h>
#include <linux/virtio_ring.h>

#include "ktap.h"
#include "load.h"
#include "stall.h"
#include "task.h"
#include "vhost.h"

#define RX_RING 0
#define TX_RING 1
#define BUFFER_SIZE 256
/* In front of each frame: vhost's (VHOST_NET_F_VIRTIO_NET_HDR), or the tap's. */
#define HEAD_SIZE sizeof(struct virtio_net_hdr)
#define TX_FRAME 64
/* The longest frame of several buffers. */
#define MERGED_MAX 256
/* In a row, 2 ms apart. */
#define LOOKS_ASLEEP 10

struct vhost {
	struct vring_desc desc[VHOST_BUFFERS];
	struct {
		struct vring_avail head;
		u16 ring[VHOST_BUFFERS + 1];
	} avail;
	struct {
		/* The header of a used ring must be aligned to 4. */
		u32 head;
		struct vring_used_elem ring[VHOST_BUFFERS];
	} used;
	/* The other way: one buffer. */
	struct vring_desc tx_desc;
	struct {
		struct vring_avail head;
		u16 ring[2];
	} tx_avail;
	struct {
		u32 head;
		struct vring_used_elem ring;
	} tx_used;
	u8 tx_buffer[HEAD_SIZE + TX_FRAME];
	u16 tx_idx;
	int tx_kick;
	int fd;
	int kick;
	int call;
	bool attached;
	u16 avail_idx;
	u16 used_idx;
	u16 free[VHOST_BUFFERS];
	unsigned int n_free;
	unsigned int lost;
	unsigned int size;	/* of a buffer */
	u64 features;
	u8 whole[MERGED_MAX];	/* a frame of several buffers */
	u8 buffers[];
};

static u8 *buffer_of(struct vhost *v, unsigned int i)
{
	return v->buffers + (size_t)i * v->size;
}

static size_t vhost_bytes(unsigned int size)
{
	size_t all = sizeof(struct vhost) + (size_t)VHOST_BUFFERS * size;

	return (all + 4095) & ~4095UL;
}

static void command(struct vhost *v, unsigned long cmd, void *arg,
		    const char *what)
{
	if (ioctl(v->fd, cmd, arg))
		ktap_bail("%s: %s", what, strerror(errno));
}

/* The identity map: what vhost calls guest memory is this structure. */
static void set_memory(struct vhost *v)
{
	struct {
		struct vhost_memory head;
		struct vhost_memory_region region;
	} mem = {
		.head.nregions = 1,
		.region = {
			.guest_phys_addr = (u64)(uintptr_t)v,
			.userspace_addr = (u64)(uintptr_t)v,
			.memory_size = vhost_bytes(v->size),
		},
	};

	command(v, VHOST_SET_MEM_TABLE, &mem, "VHOST_SET_MEM_TABLE");
}

/* @next: the first buffer that is not used yet. */
static void set_ring(struct vhost *v, struct vhost_vring_addr *addr,
		     unsigned int buffers, u16 next, int kick_fd)
{
	struct vhost_vring_state num = { addr->index, buffers };
	struct vhost_vring_state base = { addr->index, next };
	struct vhost_vring_file kick = { addr->index, kick_fd };

	command(v, VHOST_SET_VRING_NUM, &num, "VHOST_SET_VRING_NUM");
	command(v, VHOST_SET_VRING_BASE, &base, "VHOST_SET_VRING_BASE");
	command(v, VHOST_SET_VRING_ADDR, addr, "VHOST_SET_VRING_ADDR");
	command(v, VHOST_SET_VRING_KICK, &kick, "VHOST_SET_VRING_KICK");
}

static void set_rx_ring(struct vhost *v)
{
	struct vhost_vring_file call = { RX_RING, v->call };
	struct vhost_vring_addr addr = {
		.index = RX_RING,
		.desc_user_addr = (u64)(uintptr_t)v->desc,
		.avail_user_addr = (u64)(uintptr_t)&v->avail,
		.used_user_addr = (u64)(uintptr_t)&v->used,
	};

	set_ring(v, &addr, VHOST_BUFFERS, v->avail_idx, v->kick);
	command(v, VHOST_SET_VRING_CALL, &call, "VHOST_SET_VRING_CALL");
}

static struct vhost *vhost_alloc(unsigned int size)
{
	struct vhost *v = aligned_alloc(4096, vhost_bytes(size));
	unsigned int i;

	if (!v)
		ktap_bail("no memory");
	memset(v, 0, vhost_bytes(size));
	v->size = size;
	for (i = 0; i < VHOST_BUFFERS; i++) {
		v->desc[i].addr = (u64)(uintptr_t)buffer_of(v, i);
		v->desc[i].len = size;
		v->desc[i].flags = VRING_DESC_F_WRITE;
		v->free[i] = (u16)(VHOST_BUFFERS - 1 - i);
	}
	v->n_free = VHOST_BUFFERS;
	return v;
}

/*
 * It makes a thread of this process, which a pending signal makes fail, and
 * vhost calls each failure ENOMEM (vhost_worker_create(), copy_process()). What
 * is blocked is not pending in that sense.
 */
static void set_owner(struct vhost *v)
{
	sigset_t all, before;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	command(v, VHOST_SET_OWNER, NULL, "VHOST_SET_OWNER");
	pthread_sigmask(SIG_SETMASK, &before, NULL);
}

static void own(struct vhost *v)
{
	set_owner(v);
	command(v, VHOST_SET_FEATURES, &v->features, "VHOST_SET_FEATURES");
	set_memory(v);
	set_rx_ring(v);
}

static struct vhost *open_with(u64 features, unsigned int size)
{
	struct vhost *v = vhost_alloc(size);

	v->fd = open("/dev/vhost-net", O_RDWR | O_CLOEXEC);
	if (v->fd < 0)
		ktap_bail("/dev/vhost-net: %s", strerror(errno));
	v->kick = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	v->call = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	v->tx_kick = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	if (v->kick < 0 || v->call < 0 || v->tx_kick < 0)
		ktap_bail("eventfd: %s", strerror(errno));
	v->features = features;
	own(v);
	return v;
}

struct vhost *vhost_open(void)
{
	return open_with(1ULL << VHOST_NET_F_VIRTIO_NET_HDR, BUFFER_SIZE);
}

struct vhost *vhost_open_size(unsigned int size)
{
	return open_with(1ULL << VHOST_NET_F_VIRTIO_NET_HDR, size + HEAD_SIZE);
}

struct vhost *vhost_open_merged(unsigned int size)
{
	return open_with(1ULL << VHOST_NET_F_VIRTIO_NET_HDR |
			 1ULL << VIRTIO_NET_F_MRG_RXBUF, size);
}

struct vhost *vhost_open_vnet(unsigned int size)
{
	return open_with(0, size);
}

int vhost_try_attach(struct vhost *v, int fd)
{
	struct vhost_vring_file file = { RX_RING, fd };

	if (ioctl(v->fd, VHOST_NET_SET_BACKEND, &file))
		return errno;
	v->attached = fd >= 0;
	return 0;
}

static void set_backend(struct vhost *v, int fd)
{
	int err = vhost_try_attach(v, fd);

	if (err)
		ktap_bail("VHOST_NET_SET_BACKEND: %s", strerror(err));
}

void vhost_attach(struct vhost *v, int tap_fd)
{
	set_backend(v, tap_fd);
}

void vhost_takes_all(int tap_fd, unsigned int stall_ms)
{
	struct pollfd pfd = { .fd = tap_fd, .events = POLLIN };
	u64 since = stall_now_ns();
	struct stall st;

	stall_start(&st, stall_ms);
	while (poll(&pfd, 1, 0)) {
		if (stall_over(&st))
			ktap_bail("vhost takes no batch");
		load_wait(since);
	}
}

void vhost_detach(struct vhost *v)
{
	if (v->attached)
		set_backend(v, -1);
}

void vhost_attach_tx(struct vhost *v, int tap_fd)
{
	struct vhost_vring_file file = { TX_RING, tap_fd };
	struct vhost_vring_addr addr = {
		.index = TX_RING,
		.desc_user_addr = (u64)(uintptr_t)&v->tx_desc,
		.avail_user_addr = (u64)(uintptr_t)&v->tx_avail,
		.used_user_addr = (u64)(uintptr_t)&v->tx_used,
	};

	if (tap_fd >= 0)
		set_ring(v, &addr, 1, v->tx_idx, v->tx_kick);
	command(v, VHOST_NET_SET_BACKEND, &file, "VHOST_NET_SET_BACKEND");
}

static void notify(int fd)
{
	u64 one = 1;

	if (write(fd, &one, sizeof(one)) != sizeof(one))
		ktap_bail("kick: %s", strerror(errno));
}

/* An Ethernet type that nobody has; what looks like IPv4 is a bad one. */
static void build_tx(struct vhost *v)
{
	u8 *frame = v->tx_buffer + HEAD_SIZE;

	memset(v->tx_buffer, 0, sizeof(v->tx_buffer));
	frame[0] = 0x45;
	frame[12] = 0x88;
	frame[13] = 0xb5;
	v->tx_desc.addr = (u64)(uintptr_t)v->tx_buffer;
	v->tx_desc.len = sizeof(v->tx_buffer);
}

bool vhost_send(struct vhost *v, unsigned int stall_ms)
{
	struct stall st;
	u32 head;

	build_tx(v);
	__atomic_store_n(&v->tx_avail.head.idx, ++v->tx_idx, __ATOMIC_SEQ_CST);
	notify(v->tx_kick);
	stall_start(&st, stall_ms);
	do {
		head = __atomic_load_n(&v->tx_used.head, __ATOMIC_ACQUIRE);
		/* It asks to be told of more only when it has looked around. */
		if ((u16)(head >> 16) == v->tx_idx &&
		    !(head & VRING_USED_F_NO_NOTIFY))
			return true;
		stall_breathe();
	} while (!stall_over(&st));
	return false;
}

void vhost_busy_poll(struct vhost *v, unsigned int us)
{
	struct vhost_vring_state most = { .num = us };

	for (most.index = RX_RING; most.index <= TX_RING; most.index++)
		command(v, VHOST_SET_VRING_BUSYLOOP_TIMEOUT, &most,
			"VHOST_SET_VRING_BUSYLOOP_TIMEOUT");
}

void vhost_reset(struct vhost *v)
{
	if (vhost_pending(v))
		ktap_bail("vhost has buffers that a reset would forget");
	command(v, VHOST_RESET_OWNER, NULL, "VHOST_RESET_OWNER");
	v->attached = false;
	own(v);
}

bool vhost_attached(const struct vhost *v)
{
	return v->attached;
}

/*
 * The @n buffers that were just put into the ring. As a guest's driver does, it
 * kicks only if vhost asks for it: who has buffers is woken by the device.
 */
static void publish(struct vhost *v, unsigned int n)
{
	u32 head;

	__atomic_store_n(&v->avail.head.idx, v->avail_idx, __ATOMIC_SEQ_CST);
	head = __atomic_load_n(&v->used.head, __ATOMIC_SEQ_CST);
	if (n && !(head & VRING_USED_F_NO_NOTIFY))
		notify(v->kick);
}

unsigned int vhost_offer(struct vhost *v, unsigned int n)
{
	unsigned int i;

	for (i = 0; i < n && v->n_free; i++)
		v->avail.head.ring[v->avail_idx++ % VHOST_BUFFERS] =
			v->free[--v->n_free];
	publish(v, i);
	return i;
}

void vhost_offer_bad(struct vhost *v)
{
	u16 i = v->free[--v->n_free];

	v->lost++;
	v->desc[i].flags = 0;
	v->avail.head.ring[v->avail_idx++ % VHOST_BUFFERS] = i;
	publish(v, 1);
}

void vhost_kick(struct vhost *v)
{
	notify(v->kick);
}

unsigned int vhost_pending(const struct vhost *v)
{
	return VHOST_BUFFERS - v->n_free - v->lost;
}

bool vhost_wait(struct vhost *v, int timeout_ms)
{
	struct pollfd pfd = { .fd = v->call, .events = POLLIN };
	u64 count;

	if (poll(&pfd, 1, timeout_ms) < 1)
		return false;
	return read(v->call, &count, sizeof(count)) == sizeof(count);
}

int vhost_call_fd(const struct vhost *v)
{
	return v->call;
}

static u16 used_now(const struct vhost *v)
{
	/* head is flags and idx, 16 bits each */
	return (u16)(__atomic_load_n(&v->used.head, __ATOMIC_ACQUIRE) >> 16);
}

/* The next buffer that vhost has used; its length is in *@len. */
static const u8 *take_used(struct vhost *v, size_t *len)
{
	const struct vring_used_elem *elem;

	elem = &v->used.ring[v->used_idx++ % VHOST_BUFFERS];
	if (elem->id >= VHOST_BUFFERS || elem->len > v->size)
		ktap_bail("vhost used buffer %u with %u bytes", elem->id,
			  elem->len);
	v->free[v->n_free++] = (u16)elem->id;
	*len = elem->len;
	return buffer_of(v, elem->id);
}

/* The first buffer of a frame says how many there are. */
static size_t merge(struct vhost *v, u16 idx)
{
	struct virtio_net_hdr_mrg_rxbuf head = {};
	unsigned int taken = 0;
	size_t all = 0, len;
	const u8 *buf;

	do {
		if (v->used_idx == idx)
			ktap_bail("%u buffers of a frame's %u", taken,
				  head.num_buffers);
		buf = take_used(v, &len);
		if (all + len > MERGED_MAX)
			ktap_bail("a frame of more than %u bytes", MERGED_MAX);
		memcpy(v->whole + all, buf, len);
		all += len;
		if (!taken)
			memcpy(&head, v->whole, sizeof(head));
	} while (++taken < head.num_buffers);
	return all;
}

static bool is_merged(const struct vhost *v)
{
	return v->features & 1ULL << VIRTIO_NET_F_MRG_RXBUF;
}

static size_t head_size(const struct vhost *v)
{
	return is_merged(v) ? sizeof(struct virtio_net_hdr_mrg_rxbuf) : HEAD_SIZE;
}

unsigned int vhost_buffers(const struct vhost *v, size_t bytes)
{
	return (unsigned int)((head_size(v) + bytes + v->size - 1) / v->size);
}

unsigned int vhost_collect(struct vhost *v, vhost_frame_fn fn, void *arg)
{
	size_t len, head = head_size(v);
	const u8 *buf = v->whole;
	unsigned int frames = 0;
	u16 idx = used_now(v);

	for (; v->used_idx != idx; frames++) {
		if (is_merged(v))
			len = merge(v, idx);
		else
			buf = take_used(v, &len);
		if (len < head)
			ktap_bail("vhost used %zu bytes for a frame", len);
		fn(arg, buf + head, len - head);
	}
	return frames;
}

unsigned int vhost_recycle(struct vhost *v)
{
	u16 idx = used_now(v);
	unsigned int frames = 0;

	for (; v->used_idx != idx; v->used_idx++, frames++)
		v->avail.head.ring[v->avail_idx++ % VHOST_BUFFERS] =
			(u16)v->used.ring[v->used_idx % VHOST_BUFFERS].id;
	publish(v, frames);
	return frames;
}

unsigned int vhost_workers(int *tid, unsigned int most)
{
	unsigned int workers;
	char name[32];

	/* A thread of its owner, or a thread of the kernel's with its number. */
	snprintf(name, sizeof(name), "vhost-%d", (int)getpid());
	workers = tasks_find("/proc/self/task", name, tid, most);
	if (!workers)
		workers = tasks_find("/proc", name, tid, most);
	if (!workers)
		ktap_bail("no thread %s", name);
	return workers;
}

bool vhost_sleeps(unsigned int stall_ms)
{
	unsigned int asleep = 0;
	struct stall st;
	int tid;

	vhost_workers(&tid, 1);
	stall_start(&st, stall_ms);
	/* One that is about to run again is not asleep the next time. */
	while (asleep < LOOKS_ASLEEP && !stall_over(&st)) {
		asleep = task_state(tid) == 'S' ? asleep + 1 : 0;
		stall_nap(2 * NSEC_PER_MSEC);
	}
	return asleep == LOOKS_ASLEEP;
}

void vhost_place(const int *cpu, unsigned int n)
{
	unsigned int i, workers;
	cpu_set_t set;
	int tid[4];

	CPU_ZERO(&set);
	for (i = 0; i < n; i++)
		CPU_SET(cpu[i], &set);
	workers = vhost_workers(tid, ARRAY_SIZE(tid));
	for (i = 0; i < workers; i++)
		if (sched_setaffinity(tid[i], sizeof(set), &set))
			ktap_bail("CPUs of thread %d: %s", tid[i],
				  strerror(errno));
}

void vhost_close(struct vhost *v)
{
	/* The last close detaches as well, in a way of its own. */
	close(v->fd);
	close(v->kick);
	close(v->call);
	close(v->tx_kick);
	free(v);
}
