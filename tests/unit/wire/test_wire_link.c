/*
 * Link: who is at the other end of a socket, as the kernel says.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "support/check.h"
#include "wire/link.h"

#include "base/fd.h"

#include <errno.h>
#include <grp.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

static void a_process_is_known_by_its_user_and_groups(void)
{
	struct link *l = link_new();
	gid_t mine[64];
	int pair[2], count = getgroups(64, mine);

	CHECK(l && count >= 0);
	CHECK(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) == 0);
	CHECK(link_identify(l, pair[0], MSN_TRANSPORT_UNIX) == 0);
	EXPECT(l->peer.uid == geteuid() && l->peer.gid == getegid());
	EXPECT(l->peer.pid == getpid());
	EXPECT(l->peer.group_count == (size_t)count);
	for (int i = 0; i < count && l->peer.group_count == (size_t)count; i++)
		EXPECT(l->peer.groups[i] == mine[i]);
	close(pair[0]);
	close(pair[1]);
	link_unref(l);
}

/* A socket that a process of another user connected. */
static int socket_of(uid_t uid, gid_t gid, const gid_t *groups, size_t count)
{
	int pair[2], keep[2];
	pid_t pid;

	CHECK(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, keep) == 0);
	pid = fork();
	CHECK(pid >= 0);
	if (pid == 0) {
		char space[CMSG_SPACE(sizeof(int))] = { 0 };
		struct iovec iov = { (char *)"x", 1 };
		struct msghdr msg = { .msg_iov = &iov,
				      .msg_iovlen = 1,
				      .msg_control = space,
				      .msg_controllen = sizeof(space) };
		struct cmsghdr *c = CMSG_FIRSTHDR(&msg);

		if (setgroups(count, groups) || setresgid(gid, gid, gid) ||
		    setresuid(uid, uid, uid) ||
		    socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair))
			_exit(1);
		c->cmsg_level = SOL_SOCKET;
		c->cmsg_type = SCM_RIGHTS;
		c->cmsg_len = CMSG_LEN(sizeof(int));
		memcpy(CMSG_DATA(c), &pair[0], sizeof(int));
		_exit(sendmsg(keep[1], &msg, 0) != 1);
	}
	{
		char space[CMSG_SPACE(sizeof(int))], byte;
		struct iovec iov = { &byte, 1 };
		struct msghdr msg = { .msg_iov = &iov,
				      .msg_iovlen = 1,
				      .msg_control = space,
				      .msg_controllen = sizeof(space) };
		int fd = -1;

		CHECK(recvmsg(keep[0], &msg, MSG_CMSG_CLOEXEC) == 1);
		CHECK(CMSG_FIRSTHDR(&msg));
		memcpy(&fd, CMSG_DATA(CMSG_FIRSTHDR(&msg)), sizeof(int));
		CHECK(waitpid(pid, NULL, 0) == pid);
		close(keep[0]);
		close(keep[1]);
		return fd;
	}
}

static void a_process_of_another_user_has_its_own_groups(void)
{
	gid_t groups[40];
	struct link *l = link_new();
	int fd;

	if (geteuid() != 0) {
		printf("(left out: needs root) ");
		link_unref(l);
		return;
	}
	for (unsigned i = 0; i < MSN_ARRAY_LEN(groups); i++)
		groups[i] = 5000 + i;
	fd = socket_of(1000, 1001, groups, MSN_ARRAY_LEN(groups));
	CHECK(link_identify(l, fd, MSN_TRANSPORT_UNIX) == 0);
	EXPECT(l->peer.uid == 1000 && l->peer.gid == 1001);
	CHECK(l->peer.group_count == MSN_ARRAY_LEN(groups));
	EXPECT(memcmp(l->peer.groups, groups, sizeof(groups)) == 0);
	close(fd);
	link_unref(l);
}

struct walk {
	struct link *link;
	int fd;
};

static void *walk_prepare(void)
{
	static const gid_t groups[] = { 7, 8 };
	struct walk *w = calloc(1, sizeof(*w));

	CHECK(w);
	w->link = link_new();
	CHECK(w->link);
	w->fd = socket_of(1000, 1001, groups, 2);
	return w;
}

static int walk_body(void *state)
{
	struct walk *w = state;

	return link_identify(w->link, w->fd, MSN_TRANSPORT_UNIX);
}

static void walk_verify(void *state, int rc, const char *name)
{
	struct walk *w = state;

	EXPECT((rc == 0) == (name == NULL));
	EXPECT(w->link->peer.group_count == (name ? 0 : 2));
	link_unref(w->link);
	close(w->fd);
	free(w);
}

static void who_cannot_be_known_is_not_served(void)
{
	if (geteuid() == 0)
		EXPECT(check_every_fault(walk_prepare, walk_body,
					 walk_verify) == 2);
}

int main(int argc, char **argv)
{
	static const struct check_test tests[] = {
		CHECK_TEST(a_process_is_known_by_its_user_and_groups),
		CHECK_TEST(a_process_of_another_user_has_its_own_groups),
		CHECK_TEST(who_cannot_be_known_is_not_served),
		{}
	};

	return check_main(argc, argv, "wire_link", tests);
}
