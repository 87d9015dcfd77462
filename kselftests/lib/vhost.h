/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * vhost-net without a virtual machine: this program owns the receive vring,
 * so vhost delivers exactly as many frames as buffers are offered.
 */
#ifndef KSERIES_VHOST_H
#define KSERIES_VHOST_H

#include "types.h"

#define VHOST_BUFFERS 256
/* What vhost takes from the ring whenever its own store is empty. */
#define VHOST_BATCH 64

struct vhost;

/* Before @buf lies the struct virtio_net_hdr (_mrg_rxbuf) that came with it. */
typedef void (*vhost_frame_fn)(void *arg, const void *buf, size_t len);

struct vhost *vhost_open(void);
/* For frames of up to @size, without that header. */
struct vhost *vhost_open_size(unsigned int size);
/*
 * A frame may take several buffers of @size, of which the first has the header
 * (VIRTIO_NET_F_MRG_RXBUF): what is offered is buffers, what comes is frames.
 */
struct vhost *vhost_open_merged(unsigned int size);
/* For a device with IFF_VNET_HDR, and frames of up to @size with the header. */
struct vhost *vhost_open_vnet(unsigned int size);
/* @tap_fd: the queue to receive from. Attached, vhost takes a first batch. */
void vhost_attach(struct vhost *v, int tap_fd);
/* The same where it may be refused: 0, or an errno, and all is as before. */
int vhost_try_attach(struct vhost *v, int fd);
/* Wait until it has taken all that was in the ring behind @tap_fd. */
void vhost_takes_all(int tap_fd, unsigned int stall_ms);
/* Back to the ring goes what was taken and not yet delivered. */
void vhost_detach(struct vhost *v);
/* Where the guest's own frames go; -1: nowhere. */
void vhost_attach_tx(struct vhost *v, int tap_fd);
/*
 * Send one of them, which nobody will have, and wait until vhost has looked for
 * more, and polled for what there is to receive; false if it does not do so.
 */
bool vhost_send(struct vhost *v, unsigned int stall_ms);
/* How long vhost looks for more, of both directions, before it sleeps; 0: not. */
void vhost_busy_poll(struct vhost *v, unsigned int us);
/*
 * Begin anew, as after a guest's reset (VHOST_RESET_OWNER): detached, and to be
 * attached again. No buffer may be pending.
 */
void vhost_reset(struct vhost *v);
bool vhost_attached(const struct vhost *v);
/* Offer up to @n empty buffers, and kick if asked to; returns how many there were. */
unsigned int vhost_offer(struct vhost *v, unsigned int n);
/*
 * Offer one that may not be written to (VRING_DESC_F_WRITE): vhost gives up on
 * it, and goes on when it is kicked, which it does not ask for. It does not come
 * back.
 */
void vhost_offer_bad(struct vhost *v);
void vhost_kick(struct vhost *v);
/* How many buffers a frame of @bytes takes. */
unsigned int vhost_buffers(const struct vhost *v, size_t bytes);
/* Buffers that are out and not yet filled. */
unsigned int vhost_pending(const struct vhost *v);
/* Wait for a call from vhost; false after @timeout_ms without one. */
bool vhost_wait(struct vhost *v, int timeout_ms);
/* What is readable when there was a call; vhost_wait() takes that back. */
int vhost_call_fd(const struct vhost *v);
/* Hand each new frame to @fn; returns how many there were. */
unsigned int vhost_collect(struct vhost *v, vhost_frame_fn fn, void *arg);
/* The same for frames that nobody looks at: their buffers are offered again. */
unsigned int vhost_recycle(struct vhost *v);
/* The threads that work for vhosts of this process: how many, of at most @most. */
unsigned int vhost_workers(int *tid, unsigned int most);
/* Has the worker nothing to do? false: it goes on and on. */
bool vhost_sleeps(unsigned int stall_ms);
/* The only @n CPUs that vhost's workers of this process may use from now on. */
void vhost_place(const int *cpu, unsigned int n);
void vhost_close(struct vhost *v);

#endif
