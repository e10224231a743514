/*
 * Requests: a table of answers by owner, method and id.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "rpc/requests.h"

#include "base/alloc.h"
#include "base/error.h"
#include "base/lock.h"
#include "wire/method.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <xxhash.h>

#define BUCKETS 4096

struct request {
	struct request *next;	       /* in its bucket */
	struct request *older, *newer; /* by the time it was begun */
	XXH128_hash_t key, body;
	uint64_t begun_ns;
	bool done;
	const ProtobufCMessageDescriptor *type; /* of the answer */
	uint8_t *answer;			/* packed */
	size_t len;
};

struct msn_requests {
	struct msn_requests_opts opts; /* set once */
	struct msn_mutex lock;	       /* MSN_RANK_LEAF; all below */
	struct request *bucket[BUCKETS];
	struct request *oldest, *newest;
	size_t count, bytes;
};

static uint64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000U + (uint64_t)t.tv_nsec;
}

int msn_requests_new(struct msn_requests **out,
		     const struct msn_requests_opts *opts)
{
	struct msn_requests *r = msn_alloc(sizeof(*r));

	if (!r)
		return msn_fail(-ENOMEM);
	r->opts = *opts;
	msn_mutex_init(&r->lock, MSN_RANK_LEAF);
	*out = r;
	return 0;
}

/* ---- The table; the lock is held ----------------------------------------- */

static struct request **slot_of(struct msn_requests *r, XXH128_hash_t key)
{
	struct request **slot = &r->bucket[key.low64 % BUCKETS];

	while (*slot && !XXH128_isEqual((*slot)->key, key))
		slot = &(*slot)->next;
	return slot;
}

static void drop(struct msn_requests *r, struct request *e)
{
	*slot_of(r, e->key) = e->next;
	*(e->older ? &e->older->newer : &r->oldest) = e->newer;
	*(e->newer ? &e->newer->older : &r->newest) = e->older;
	r->count--;
	r->bytes -= e->len;
	free(e->answer);
	free(e);
}

static struct request *add(struct msn_requests *r, XXH128_hash_t key,
			   XXH128_hash_t body)
{
	struct request *e = msn_alloc(sizeof(*e));
	struct request **slot = slot_of(r, key);

	if (!e)
		return NULL;
	e->key = key;
	e->body = body;
	e->begun_ns = now_ns();
	*slot = e;
	e->older = r->newest;
	*(r->newest ? &r->newest->newer : &r->oldest) = e;
	r->newest = e;
	r->count++;
	return e;
}

/* Those at work stay: somebody has a pointer to them. */
static void make_room(struct msn_requests *r)
{
	uint64_t now = now_ns();
	struct request *next;

	for (struct request *e = r->oldest; e; e = next) {
		next = e->newer;
		if (r->count < r->opts.kept_max &&
		    r->bytes <= r->opts.kept_bytes &&
		    now - e->begun_ns < r->opts.kept_ns)
			return;
		if (e->done)
			drop(r, e);
	}
}

struct msn_requests *msn_requests_free(struct msn_requests *r)
{
	if (!r)
		return NULL;
	while (r->oldest)
		drop(r, r->oldest);
	msn_mutex_deinit(&r->lock);
	free(r);
	return NULL;
}

/* ---- One call ------------------------------------------------------------ */

static XXH128_hash_t key_of(const struct msn_call *call, const char *id)
{
	char text[sizeof(((struct msn_peer *)0)->owner) + MSN_REQUEST_ID_MAX +
		  256];
	int len = snprintf(text, sizeof(text), "%s\n%s\n%s",
			   msn_call_peer(call)->owner,
			   msn_call_method(call)->path, id);

	return XXH3_128bits(text, (size_t)len);
}

/* Hashes a message as it is packed, without keeping the bytes. */
struct hasher {
	ProtobufCBuffer buffer;
	XXH3_state_t *state;
};

static void hash_append(ProtobufCBuffer *buffer, size_t len,
			const uint8_t *data)
{
	struct hasher *h = msn_container_of(buffer, struct hasher, buffer);

	XXH3_128bits_update(h->state, data, len);
}

static int hash_message(const ProtobufCMessage *message, XXH128_hash_t *out)
{
	struct hasher h = { { .append = hash_append }, XXH3_createState() };

	if (!h.state)
		return msn_fail(-ENOMEM);
	XXH3_128bits_reset(h.state);
	protobuf_c_message_pack_to_buffer(message, &h.buffer);
	*out = XXH3_128bits_digest(h.state);
	XXH3_freeState(h.state);
	return 0;
}

/* Copies what is there out of the table.  Before: the lock is held. */
static int look(struct msn_requests *r, XXH128_hash_t key, XXH128_hash_t body,
		struct msn_call *call, const ProtobufCMessageDescriptor **type,
		uint8_t **answer, size_t *len)
{
	struct request *e = *slot_of(r, key);

	if (!e)
		return 0;
	if (!XXH128_isEqual(e->body, body))
		return msn_call_fail(call, MSN_CODE_ALREADY_EXISTS,
				     "REQUEST_ID_REUSED",
				     "this request_id was used for another "
				     "request");
	if (!e->done) {
		msn_call_status(call)->retry_ms = 50;
		return msn_call_fail(call, MSN_CODE_UNAVAILABLE,
				     "REQUEST_IN_PROGRESS",
				     "the first call with this request_id is "
				     "still at work");
	}
	*answer = msn_call_alloc(call, e->len + 1);
	if (!*answer)
		return msn_fail(-ENOMEM);
	memcpy(*answer, e->answer, e->len);
	*len = e->len;
	*type = e->type;
	return MSN_ONCE_E_ANSWERED;
}

static int answer_again(struct msn_call *call,
			const ProtobufCMessageDescriptor *type,
			const uint8_t *answer, size_t len)
{
	ProtobufCMessage *m =
		protobuf_c_message_unpack(type, NULL, len, answer);
	int rc;

	if (!m)
		return msn_fail(-ENOMEM);
	rc = msn_call_send(call, m, NULL);
	protobuf_c_message_free_unpacked(m, NULL);
	return rc ? msn_pass(rc) : MSN_ONCE_E_ANSWERED;
}

int msn_once_begin(struct msn_once *once, struct msn_requests *requests,
		   struct msn_call *call, const char *id,
		   const ProtobufCMessage *request)
{
	const ProtobufCMessageDescriptor *type = NULL;
	XXH128_hash_t key, body;
	uint8_t *answer = NULL;
	size_t len = 0;
	int rc;

	*once = (struct msn_once){ requests, NULL };
	if (!*id)
		return 0;
	if (strlen(id) > MSN_REQUEST_ID_MAX)
		return msn_call_bad_field(call, "request_id",
					  "request_id has more than %d bytes",
					  MSN_REQUEST_ID_MAX);
	rc = hash_message(request, &body);
	if (rc)
		return msn_pass(rc);
	key = key_of(call, id);
	msn_mutex_lock(&requests->lock);
	make_room(requests);
	rc = look(requests, key, body, call, &type, &answer, &len);
	if (!rc) {
		once->entry = add(requests, key, body);
		rc = once->entry ? 0 : -ENOMEM;
	}
	msn_mutex_unlock(&requests->lock);
	if (rc == MSN_ONCE_E_ANSWERED)
		return answer_again(call, type, answer, len);
	return rc;
}

int msn_once_end(struct msn_once *once, int rc, const ProtobufCMessage *answer)
{
	struct request *e = msn_steal(once->entry);
	struct msn_requests *r = once->requests;
	uint8_t *packed = NULL;
	size_t len = 0;

	if (!e)
		return rc;
	if (!rc) {
		len = protobuf_c_message_get_packed_size(answer);
		packed = msn_alloc(len + 1);
	}
	if (packed)
		protobuf_c_message_pack(answer, packed);
	msn_lock_scope(&r->lock);
	if (!packed) {
		drop(r, e);
		return rc;
	}
	e->answer = packed;
	e->len = len;
	e->type = answer->descriptor;
	e->done = true;
	r->bytes += len;
	return rc;
}
