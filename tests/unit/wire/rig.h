/*
 * A server of the test service in this process, and a client of ttrpc that
 * shares no code with it.
 *
 * SPDX-License-Identifier: Apache-2.0
 *
 * Loop and client run on the test's thread: whenever the client has to wait it
 * runs one round of the loop.
 */
#ifndef MSN_TESTS_WIRE_RIG_H
#define MSN_TESTS_WIRE_RIG_H

#include "service.h"

#include "status/status.h"
#include "wire/server.h"
#include "wire_test.pb-c.h"

#define RIG_ENDED_MAX 64

/* What the server said of a call that ended. */
struct rig_ended {
	char path[64];
	enum msn_code code;
	char reason[40];
	uint64_t received, sent;
};

struct rig {
	struct msn_loop *loop;
	struct msn_workers *workers;
	struct msn_methods *methods;
	struct msn_server *server;
	struct service service;
	struct rig_ended ended[RIG_ENDED_MAX]; /* the last ones */
	unsigned ended_count;
	bool drained;
};

/* With these options, of which those left zero are filled. */
void rig_init(struct rig *r, const struct msn_server_opts *opts);
void rig_deinit(struct rig *r);

/* One round of the loop; waits for something to do. */
void rig_round(struct rig *r);

/* Rounds without waiting, until there is nothing to do. */
void rig_settle(struct rig *r);

/* Waits until nothing is charged to anybody: a worker drops its reference a
 * little after the loop thread has its result. */
void rig_await_memory(struct rig *r);

struct msn_server_usage rig_usage(const struct rig *r);

/* ---- the client ---------------------------------------------------------- */

struct client {
	struct rig *rig;
	int fd;
	uint32_t last_id;
	uint8_t *buffer; /* received and not read */
	size_t len, cap;
	int fds[64]; /* received and not taken */
	size_t fd_count;
	bool closed; /* by the server */
};

/* A frame that came. */
struct reply {
	uint32_t id;
	uint8_t type, flags;
	uint8_t *data; /* owned */
	size_t len;
	/* Of a Response. */
	struct msn_status status;
	const uint8_t *payload;
	size_t payload_len;
};

struct request {
	const char *method;  /* of the test service */
	const char *service; /* or of this one */
	const ProtobufCMessage *message;
	uint8_t flags;
	int64_t timeout_ns;
	const char *const *metadata; /* key, value, ..., NULL */
	const int *fds;
	size_t fd_count;
};

/* A connection of the server's, and this end of it. */
void client_open(struct client *c, struct rig *r);
void client_close(struct client *c);

/* Writes all of it, letting the server run meanwhile. */
void client_write(struct client *c, const void *data, size_t len);
void client_write_fds(struct client *c, const void *data, size_t len,
		      const int *fds, size_t fd_count);
void client_frame(struct client *c, uint32_t id, uint8_t type, uint8_t flags,
		  const void *data, size_t len);

/* Opens a stream; returns its number. */
uint32_t client_request(struct client *c, const struct request *req);

/* The bytes of such a frame, for free(). */
uint8_t *client_request_bytes(struct client *c, const struct request *req,
			      size_t *len);

/* Sends a message of a stream. */
void client_send(struct client *c, uint32_t id, const ProtobufCMessage *m,
		 uint8_t flags);

/* Waits for a frame.  False: the server has closed the connection. */
bool client_receive(struct client *c, struct reply *out);
void reply_free(struct reply *r);

/* Waits until the server has closed the connection; other bytes are lost. */
void client_await_end(struct client *c);

/* A request and its Response: its code. */
enum msn_code client_call(struct client *c, const struct request *req,
			  struct reply *out);

/* The same for Echo and its like: what was answered, for free_echo(). */
Memsnap__Test__EchoResponse *client_echo(struct client *c, const char *method,
					 const char *text);
Memsnap__Test__EchoResponse *reply_echo(const struct reply *r);
void free_echo(Memsnap__Test__EchoResponse *e);

/* For a request of Echo and its like. */
#define ECHO(...)                                                              \
	(&(Memsnap__Test__EchoRequest){                                        \
		.base = PROTOBUF_C_MESSAGE_INIT(                               \
			&memsnap__test__echo_request__descriptor),             \
		__VA_ARGS__ }                                                  \
		  .base)
#define COUNT(count_, size_)                                                   \
	(&(Memsnap__Test__CountRequest){                                       \
		.base = PROTOBUF_C_MESSAGE_INIT(                               \
			&memsnap__test__count_request__descriptor),            \
		.count = (count_),                                             \
		.size = (size_) }                                              \
		  .base)

#endif /* MSN_TESTS_WIRE_RIG_H */
