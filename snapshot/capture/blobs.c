/*
 * Blobs: encoding threads, process and attributes.
 *
 * SPDX-License-Identifier: Apache-2.0
 *
 * The messages borrow the target's bytes; only the lists of pointers that
 * protobuf wants are made here.
 */
#include "capture/blobs.h"

#include "base/alloc.h"
#include "base/error.h"
#include "base/utf8.h"
#include "memsnap/v1/capture.pb-c.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>

typedef Memsnap__V1__CapturedThread thread_msg;
typedef Memsnap__V1__CapturedThreads threads_msg;
typedef Memsnap__V1__CapturedRegset regset_msg;

/* ---- Threads ------------------------------------------------------------- */

/* The messages of a chunk of threads, in one piece each. */
struct chunk {
	thread_msg *threads;
	thread_msg **thread_list;
	regset_msg *regsets;
	regset_msg **regset_list;
};

static int chunk_init(struct chunk *c, size_t count)
{
	c->threads = msn_alloc_array(count, sizeof(*c->threads));
	c->thread_list = msn_alloc_array(count, sizeof(*c->thread_list));
	c->regsets =
		msn_alloc_array(count * MSN_REGSETS_MAX, sizeof(*c->regsets));
	c->regset_list = msn_alloc_array(count * MSN_REGSETS_MAX,
					 sizeof(*c->regset_list));
	return c->threads && c->thread_list && c->regsets && c->regset_list
		       ? 0
		       : msn_fail(-ENOMEM);
}

static void chunk_deinit(struct chunk *c)
{
	free(c->threads);
	free(c->thread_list);
	free(c->regsets);
	free(c->regset_list);
}

static ProtobufCBinaryData borrow(const void *data, size_t len)
{
	return (ProtobufCBinaryData){ .len = len,
				      .data = (uint8_t *)(uintptr_t)data };
}

static void fill_thread(struct chunk *c, size_t i,
			const struct msn_traced_thread *t)
{
	thread_msg *m = &c->threads[i];

	memsnap__v1__captured_thread__init(m);
	m->tid = t->tid;
	m->comm = borrow(t->comm, strlen(t->comm));
	m->blocked = t->blocked;
	m->pending = t->pending;
	m->signal = t->signal;
	m->group_stop = t->group_stop;
	if (t->signal)
		m->siginfo = borrow(&t->siginfo, sizeof(t->siginfo));
	m->regsets = &c->regset_list[i * MSN_REGSETS_MAX];
	m->n_regsets = t->regset_count;
	for (size_t k = 0; k < t->regset_count; k++) {
		regset_msg *r = &c->regsets[i * MSN_REGSETS_MAX + k];

		memsnap__v1__captured_regset__init(r);
		r->note_type = t->regsets[k].note_type;
		r->data = borrow(t->regsets[k].data, t->regsets[k].len);
		m->regsets[k] = r;
	}
	c->thread_list[i] = m;
}

/* Takes over @name and @data, also on failure. */
static int add(struct msn_capture_blobs *b, char *name, uint8_t *data,
	       size_t len)
{
	int rc = name && data ? 0 : msn_fail(-ENOMEM);

	if (rc == 0)
		rc = msn_grow((void **)&b->list, &b->cap, b->count,
			      sizeof(*b->list));
	if (rc) {
		free(name);
		free(data);
		return msn_pass(rc);
	}
	b->list[b->count++] = (struct msn_save_blob){ .name = name,
						      .data = data,
						      .len = len };
	return 0;
}

static char *threads_name(size_t number)
{
	return number == 0 ? msn_strdup("elf/threads")
			   : msn_format("elf/threads.%zu", number + 1);
}

static int add_chunk(struct msn_capture_blobs *b, size_t number,
		     const struct msn_traced_thread *threads, size_t count)
{
	threads_msg m = MEMSNAP__V1__CAPTURED_THREADS__INIT;
	struct chunk c = { 0 };
	uint8_t *data;
	size_t len;
	int rc = chunk_init(&c, count);

	if (rc == 0) {
		for (size_t i = 0; i < count; i++)
			fill_thread(&c, i, &threads[i]);
		m.threads = c.thread_list;
		m.n_threads = count;
		len = memsnap__v1__captured_threads__get_packed_size(&m);
		data = msn_alloc(len);
		if (data)
			memsnap__v1__captured_threads__pack(&m, data);
		rc = add(b, threads_name(number), data, len);
	}
	chunk_deinit(&c);
	return msn_pass(rc);
}

static int add_threads(struct msn_capture_blobs *b, const struct msn_target *t)
{
	const size_t most = MSN_CAPTURE_THREADS_PER_BLOB;
	const struct msn_traced_thread *threads;
	size_t count;

	threads = msn_tracee_threads(t->tracee, &count);
	for (size_t i = 0; i < count; i += most) {
		size_t n = count - i < most ? count - i : most;
		int rc = add_chunk(b, i / most, threads + i, n);

		if (rc)
			return msn_pass(rc);
	}
	return 0;
}

/* ---- Process ------------------------------------------------------------- */

static int add_process(struct msn_capture_blobs *b, const struct msn_target *t)
{
	const struct msn_proc_status *s = &t->status;
	char state[2] = { s->state, '\0' };
	Memsnap__V1__CapturedProcess m = MEMSNAP__V1__CAPTURED_PROCESS__INIT;
	uint8_t *data;
	size_t len;

	m.pid = t->pid;
	m.ppid = s->ppid;
	m.pgrp = s->pgrp;
	m.session = s->session;
	m.uid = s->uid;
	m.euid = s->euid;
	m.gid = s->gid;
	m.egid = s->egid;
	m.state = state;
	m.nice = s->nice;
	m.flags = s->flags;
	m.comm = borrow(s->comm, strlen(s->comm));
	m.cmdline = borrow(t->cmdline, t->cmdline_len);
	m.exe = borrow(t->exe, strlen(t->exe));
	m.cwd = borrow(t->cwd, strlen(t->cwd));
	len = memsnap__v1__captured_process__get_packed_size(&m);
	data = msn_alloc(len);
	if (data)
		memsnap__v1__captured_process__pack(&m, data);
	return msn_pass(add(b, msn_strdup("elf/process"), data, len));
}

static int add_auxv(struct msn_capture_blobs *b, const struct msn_target *t)
{
	uint8_t *copy = msn_alloc(t->auxv_len);

	if (copy)
		memcpy(copy, t->auxv, t->auxv_len);
	return msn_pass(add(b, msn_strdup("elf/auxv"), copy, t->auxv_len));
}

/* ---- Attributes ---------------------------------------------------------- */

static void add_attr(struct msn_capture_blobs *b, const char *key,
		     const char *value)
{
	b->attrs[b->attr_count++] = (struct msn_save_text){ key, value };
}

/* Arguments as a shell shows them: spaces between, none at the end. */
static void cmdline_text(char *out, size_t size, const struct msn_target *t)
{
	size_t len = t->cmdline_len;

	while (len > 0 && t->cmdline[len - 1] == '\0')
		len--;
	msn_utf8_clean(out, size, t->cmdline, len);
	for (size_t i = 0; i < len && i < size && out[i]; i++)
		if (t->cmdline[i] == '\0')
			out[i] = ' ';
}

static void add_attrs(struct msn_capture_blobs *b, const struct msn_target *t)
{
	const size_t size = sizeof(b->attr_text[0]);
	struct utsname u = { 0 };

	uname(&u);
	snprintf(b->kernel, sizeof(b->kernel), "%s", u.release);
	msn_utf8_clean(b->attr_text[0], size, t->exe, strlen(t->exe));
	cmdline_text(b->attr_text[1], size, t);
	msn_utf8_clean(b->attr_text[2], size, t->status.comm,
		       strlen(t->status.comm));
	snprintf(b->attr_text[3], size, "%d", t->pid);
	snprintf(b->origin, sizeof(b->origin), "pid %d %.32s", t->pid,
		 b->attr_text[2]);
	add_attr(b, "origin", b->origin);
	add_attr(b, "pid", b->attr_text[3]);
	add_attr(b, "comm", b->attr_text[2]);
	add_attr(b, "exe", b->attr_text[0]);
	add_attr(b, "cmdline", b->attr_text[1]);
	add_attr(b, "arch", "x86_64");
	add_attr(b, "kernel", b->kernel);
}

int msn_capture_blobs_make(struct msn_capture_blobs *b,
			   const struct msn_target *t)
{
	int rc;

	*b = (struct msn_capture_blobs){ 0 };
	rc = add_threads(b, t);
	if (rc == 0)
		rc = add_process(b, t);
	if (rc == 0)
		rc = add_auxv(b, t);
	if (rc) {
		msn_capture_blobs_deinit(b);
		return msn_pass(rc);
	}
	add_attrs(b, t);
	return 0;
}

void msn_capture_blobs_deinit(struct msn_capture_blobs *b)
{
	for (size_t i = 0; i < b->count; i++) {
		free((char *)(uintptr_t)b->list[i].name);
		free((void *)(uintptr_t)b->list[i].data);
	}
	free(b->list);
	b->list = NULL;
	b->count = b->cap = 0;
}
