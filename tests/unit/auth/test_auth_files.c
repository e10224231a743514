/*
 * Files of the host, as root: opened with the caller's rights and no others.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "auth/rights.h"
#include "auth_scene.h"
#include "support/check.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <unistd.h>

#define ALICE 51000
#define BOB 51001
#define TEAM 52000

#define CONFIG                                                                 \
	"[roles]\nread = uid:51001\noperate = uid:51000\n[files]\n"            \
	"allow = %/ro ro role:read, %/rw rw, %/rw/admin rw role:admin\n"

static struct msn_status status;

/* Opens, and says what came of it: what is in the file, or the reason. */
static const char *opened(struct scene *s, struct msn_peer peer,
			  const char *path, int flags)
{
	static char text[64];
	int fd = -1, rc;
	ssize_t n;

	CHECK(msn_auth_peer(s->auth, &peer, NULL) == 0);
	memset(&status, 0, sizeof(status));
	rc = msn_auth_open_path(s->auth, &peer, path, flags, &fd, &status);
	if (rc) {
		CHECK(rc < 0 && fd == -1 && status.code != MSN_CODE_OK);
		CHECK(*status.text && *status.reason);
		return status.reason;
	}
	CHECK(fd >= 0 && status.code == MSN_CODE_OK);
	EXPECT(fcntl(fd, F_GETFD) & FD_CLOEXEC);
	EXPECT((fcntl(fd, F_GETFL) & (O_ACCMODE | O_NONBLOCK)) == flags);
	n = flags == O_WRONLY ? 0 : pread(fd, text, sizeof(text) - 1, 0);
	CHECK(n >= 0);
	text[n] = '\0';
	close(fd);
	return text;
}

static const char *opened_by(struct scene *s, uid_t uid, const char *name)
{
	return opened(s, process(uid, uid, NULL, 0), scene_path(s, name),
		      O_RDONLY);
}

#define IS(text, want) EXPECT(strcmp((text), (want)) == 0)

/* A file in the root for reading, of @uid and @gid. */
static void add(struct scene *s, const char *name, uid_t uid, gid_t gid,
		unsigned mode)
{
	scene_file(s, name, name, mode);
	CHECK(chown(scene_path(s, name), uid, gid) == 0);
	CHECK(chmod(scene_path(s, name), mode) == 0);
}

/* ---- Whose rights ------------------------------------------------------- */

static void a_file_is_opened_with_the_callers_user(void)
{
	struct scene s;

	scene_open(&s, CONFIG);
	add(&s, "ro/alices", ALICE, 0, 0600);
	add(&s, "ro/roots", 0, 0, 0600);
	add(&s, "ro/all", 0, 0, 0644);
	IS(opened_by(&s, ALICE, "ro/alices"), "ro/alices");
	IS(opened_by(&s, BOB, "ro/alices"), "FILE_DENIED");
	IS(opened_by(&s, BOB, "ro/all"), "ro/all");
	/* The service could, but it does not. */
	IS(opened_by(&s, ALICE, "ro/roots"), "FILE_DENIED");
	EXPECT(status.code == MSN_CODE_PERMISSION_DENIED);
	IS(opened_by(&s, 0, "ro/roots"), "ro/roots");
	IS(opened_by(&s, 0, "ro/alices"), "ro/alices");
	scene_close(&s);
}

static void a_file_is_opened_with_the_callers_groups(void)
{
	static const gid_t team[] = { 7, TEAM }, none[] = { 7 };
	struct scene s;
	const char *path;

	scene_open(&s, CONFIG);
	add(&s, "ro/teams", 0, TEAM, 0640);
	path = scene_path(&s, "ro/teams");
	IS(opened(&s, process(ALICE, 9, team, 2), path, O_RDONLY), "ro/teams");
	IS(opened(&s, process(ALICE, TEAM, NULL, 0), path, O_RDONLY),
	   "ro/teams");
	IS(opened(&s, process(ALICE, 9, none, 1), path, O_RDONLY),
	   "FILE_DENIED");
	/* A group that may not, although all others may: Linux's rule. */
	add(&s, "ro/not_teams", 0, TEAM, 0604);
	path = scene_path(&s, "ro/not_teams");
	IS(opened(&s, process(ALICE, 9, none, 1), path, O_RDONLY),
	   "ro/not_teams");
	IS(opened(&s, process(ALICE, 9, team, 2), path, O_RDONLY),
	   "FILE_DENIED");
	scene_close(&s);
}

static void a_folder_that_the_caller_may_not_enter_hides_its_files(void)
{
	struct scene s;

	scene_open(&s, CONFIG);
	add(&s, "ro/closed/file", 0, 0, 0644);
	CHECK(chmod(scene_path(&s, "ro/closed"), 0700) == 0);
	IS(opened_by(&s, ALICE, "ro/closed/file"), "FILE_DENIED");
	IS(opened_by(&s, ALICE, "ro/closed/nothing"), "FILE_DENIED");
	IS(opened_by(&s, ALICE, "ro/nothing"), "FILE_NOT_FOUND");
	EXPECT(status.code == MSN_CODE_NOT_FOUND);
	/* Above the root, too. */
	add(&s, "ro/open", 0, 0, 0644);
	CHECK(chmod(s.folder, 0700) == 0);
	IS(opened_by(&s, ALICE, "ro/open"), "FILE_DENIED");
	IS(opened_by(&s, 0, "ro/open"), "ro/open");
	scene_close(&s);
}

static void who_has_no_user_here_opens_nothing(void)
{
	struct msn_peer peer = stranger("ci.example");
	struct scene s;

	scene_open(&s, "[listen]\ntls_client_ca = /ca\n[roles]\n"
		       "admin = dns:ci.example tenant:ci\n[files]\n"
		       "allow = %/ro\n");
	add(&s, "ro/all", 0, 0, 0644);
	IS(opened(&s, peer, scene_path(&s, "ro/all"), O_RDONLY), "FILE_RIGHTS");
	EXPECT(status.code == MSN_CODE_PERMISSION_DENIED);
	peer.uid = peer.gid = 0; /* nobody has looked */
	IS(opened(&s, peer, scene_path(&s, "ro/all"), O_RDONLY), "FILE_RIGHTS");
	scene_close(&s);
}

/* ---- Which paths -------------------------------------------------------- */

static void only_what_lies_below_a_root_is_opened(void)
{
	static const char *const bad[] = { "other/file",     "rox/file",
					   "r/file",	     "file",
					   "ro/../file",     "ro/a/../../file",
					   "ro/out",	     "ro/up",
					   "ro/dir_out/file" };
	struct scene s;

	scene_open(&s, CONFIG);
	add(&s, "other/file", 0, 0, 0644);
	add(&s, "rox/file", 0, 0, 0644);
	add(&s, "file", 0, 0, 0644);
	add(&s, "ro/a/in", 0, 0, 0644);
	CHECK(symlink(scene_path(&s, "file"), scene_path(&s, "ro/out")) == 0);
	CHECK(symlink("../file", scene_path(&s, "ro/up")) == 0);
	CHECK(symlink("../other", scene_path(&s, "ro/dir_out")) == 0);
	CHECK(symlink("a/in", scene_path(&s, "ro/in")) == 0);
	CHECK(symlink("../ro/a/in", scene_path(&s, "ro/around")) == 0);
	CHECK(symlink("circle", scene_path(&s, "ro/circle")) == 0);
	for (size_t i = 0; i < MSN_ARRAY_LEN(bad); i++) {
		IS(opened_by(&s, ALICE, bad[i]), "PATH_NOT_ALLOWED");
		IS(opened_by(&s, 0, bad[i]), "PATH_NOT_ALLOWED");
	}
	IS(opened_by(&s, ALICE, "ro/in"), "ro/a/in");
	IS(opened_by(&s, ALICE, "ro/a/../in"), "ro/a/in");
	IS(opened_by(&s, ALICE, "ro//a//in"), "ro/a/in");
	/* Out and in again is out. */
	IS(opened_by(&s, ALICE, "ro/around"), "PATH_NOT_ALLOWED");
	IS(opened_by(&s, ALICE, "ro/circle"), "PATH_NOT_ALLOWED");
	scene_close(&s);
}

static void links_of_the_kernel_are_not_followed(void)
{
	char path[64];
	struct scene s;
	int fd;

	scene_open(&s, "[files]\nallow = /\n");
	add(&s, "file", 0, 0, 0644);
	fd = open(scene_path(&s, "file"), O_RDONLY | O_CLOEXEC);
	snprintf(path, sizeof(path), "/proc/%d/fd/%d", (int)getpid(), fd);
	IS(opened(&s, process(0, 0, NULL, 0), path, O_RDONLY),
	   "PATH_NOT_ALLOWED");
	/* The root of all lets the same file through by its name. */
	IS(opened_by(&s, ALICE, "file"), "file");
	close(fd);
	scene_close(&s);
}

static void a_path_that_is_none_is_refused(void)
{
	char path[5000];
	struct scene s;

	scene_open(&s, CONFIG);
	IS(opened(&s, process(0, 0, NULL, 0), "", O_RDONLY), "INVALID_PATH");
	IS(opened(&s, process(0, 0, NULL, 0), "ro/x", O_RDONLY),
	   "INVALID_PATH");
	EXPECT(status.code == MSN_CODE_INVALID_ARGUMENT);
	memset(path, '/', sizeof(path));
	path[sizeof(path) - 1] = '\0';
	IS(opened(&s, process(0, 0, NULL, 0), path, O_RDONLY), "INVALID_PATH");
	scene_close(&s);
}

static void the_longest_root_says_what_is_allowed(void)
{
	struct scene s;
	struct msn_peer alice = process(ALICE, ALICE, NULL, 0);
	struct msn_peer bob = process(BOB, BOB, NULL, 0);
	struct msn_peer carol = process(BOB + 1, BOB, NULL, 0);

	scene_open(&s, CONFIG);
	add(&s, "ro/file", ALICE, 0, 0666);
	add(&s, "rw/file", ALICE, 0, 0666);
	add(&s, "rw/admin/file", ALICE, 0, 0666);
	IS(opened(&s, alice, scene_path(&s, "rw/file"), O_RDWR), "rw/file");
	IS(opened(&s, alice, scene_path(&s, "rw/file"), O_WRONLY), "");
	/* Not for writing, although the mode says so. */
	IS(opened(&s, alice, scene_path(&s, "ro/file"), O_RDWR),
	   "PATH_NOT_ALLOWED");
	EXPECT(strstr(status.text, "/ro can be opened for reading only"));
	IS(opened(&s, alice, scene_path(&s, "ro/file"), O_WRONLY),
	   "PATH_NOT_ALLOWED");
	/* By role. */
	IS(opened(&s, bob, scene_path(&s, "ro/file"), O_RDONLY), "ro/file");
	IS(opened(&s, bob, scene_path(&s, "rw/file"), O_RDONLY),
	   "PATH_NOT_ALLOWED");
	EXPECT(strstr(status.text, "/rw are for callers with the role "
				   "operate"));
	IS(opened(&s, carol, scene_path(&s, "ro/file"), O_RDONLY),
	   "PATH_NOT_ALLOWED");
	IS(opened(&s, alice, scene_path(&s, "rw/admin/file"), O_RDONLY),
	   "PATH_NOT_ALLOWED");
	IS(opened_by(&s, 0, "rw/admin/file"), "rw/admin/file");
	scene_close(&s);
}

static void what_is_no_file_is_left_alone(void)
{
	struct sockaddr_un name = { .sun_family = AF_UNIX };
	struct scene s;
	int sock = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	int writer;

	scene_open(&s, CONFIG);
	add(&s, "ro/dir/x", 0, 0, 0644);
	CHECK(mkfifo(scene_path(&s, "ro/pipe"), 0666) == 0);
	CHECK(chmod(scene_path(&s, "ro/pipe"), 0666) == 0);
	snprintf(name.sun_path, sizeof(name.sun_path), "%s",
		 scene_path(&s, "ro/sock"));
	CHECK(bind(sock, (struct sockaddr *)&name, sizeof(name)) == 0);
	IS(opened_by(&s, ALICE, "ro/dir"), "FILE_KIND");
	EXPECT(status.code == MSN_CODE_FAILED_PRECONDITION);
	IS(opened_by(&s, ALICE, "ro"), "FILE_KIND");
	IS(opened_by(&s, ALICE, "ro/"), "FILE_KIND");
	IS(opened_by(&s, ALICE, "ro/sock"), "FILE_KIND");
	if (mknod(scene_path(&s, "ro/null"), S_IFCHR | 0666, 0x103) == 0)
		IS(opened_by(&s, ALICE, "ro/null"), "FILE_KIND");
	/* Nobody was at the pipe's other end even for a moment. */
	IS(opened_by(&s, ALICE, "ro/pipe"), "FILE_KIND");
	writer = open(scene_path(&s, "ro/pipe"),
		      O_WRONLY | O_NONBLOCK | O_CLOEXEC);
	EXPECT(writer < 0 && errno == ENXIO);
	IS(opened_by(&s, ALICE, "ro/dir/x/y"), "FILE_NOT_FOUND");
	close(sock);
	scene_close(&s);
}

/* ---- The thread's own rights -------------------------------------------- */

struct own {
	uid_t fsuid;
	gid_t fsgid, groups[64];
	int group_count, dumpable;
	struct __user_cap_data_struct caps[_LINUX_CAPABILITY_U32S_3];
};

static struct own own_rights(void)
{
	struct __user_cap_header_struct head = { _LINUX_CAPABILITY_VERSION_3,
						 0 };
	struct own o;

	memset(&o, 0, sizeof(o));
	o.fsuid = (uid_t)syscall(SYS_setfsuid, -1);
	o.fsgid = (gid_t)syscall(SYS_setfsgid, -1);
	o.group_count = (int)syscall(SYS_getgroups, 64, o.groups);
	o.dumpable = prctl(PR_GET_DUMPABLE);
	if (syscall(SYS_capget, &head, o.caps))
		abort();
	return o;
}

static struct own at_start; /* of the program: before any other test */

static unsigned open_fds(void)
{
	DIR *dir = opendir("/proc/self/fd");
	unsigned n = 0;

	CHECK(dir);
	while (readdir(dir))
		n++;
	closedir(dir);
	return n;
}

static void the_thread_has_its_rights_back(void)
{
	static const gid_t theirs[] = { 1, 2, 3 }, mine[] = { 4, 5 };
	struct own before, after;
	struct scene s;
	unsigned fds;

	CHECK(syscall(SYS_setgroups, 2, mine) == 0);
	prctl(PR_SET_DUMPABLE, 1);
	scene_open(&s, CONFIG);
	add(&s, "ro/all", 0, 0, 0644);
	add(&s, "ro/roots", 0, 0, 0600);
	fds = open_fds();
	before = own_rights();
	IS(opened(&s, process(ALICE, 9, theirs, 3), scene_path(&s, "ro/all"),
		  O_RDONLY),
	   "ro/all");
	IS(opened(&s, process(ALICE, 9, theirs, 3), scene_path(&s, "ro/roots"),
		  O_RDONLY),
	   "FILE_DENIED");
	after = own_rights();
	EXPECT(memcmp(&before, &after, sizeof(before)) == 0);
	EXPECT(memcmp(after.caps, at_start.caps, sizeof(after.caps)) == 0);
	EXPECT(after.fsuid == 0 && after.dumpable == 1);
	EXPECT(after.group_count == 2 && after.groups[1] == 5);
	EXPECT(open_fds() == fds);
	scene_close(&s);
	CHECK(syscall(SYS_setgroups, 0, NULL) == 0);
}

/* Threads cannot leave a test as CHECK() does; they count what went wrong. */
static atomic_bool stop;
static atomic_uint wrong;
static char roots_file[256];

static void need(bool holds)
{
	if (!holds)
		wrong++;
}

/* Is always what it was, whatever the other threads are. */
static void *stay_root(void *arg)
{
	static const gid_t mine[] = { 4, 5 };
	struct own before, now;

	(void)arg;
	need(syscall(SYS_setgroups, 2, mine) == 0);
	before = own_rights();
	while (!stop) {
		int fd = open(roots_file, O_RDONLY | O_CLOEXEC);

		need(fd >= 0);
		if (fd >= 0)
			close(fd);
		now = own_rights();
		/* It is the process's, and changes meanwhile. */
		now.dumpable = before.dumpable;
		need(memcmp(&before, &now, sizeof(now)) == 0);
	}
	return NULL;
}

struct opener {
	struct scene *s;
	uid_t uid;
};

static void *open_often(void *arg)
{
	struct opener *o = arg;
	struct msn_peer peer = process(o->uid, o->uid, NULL, 0);
	char own[256], other[256];

	need(msn_auth_peer(o->s->auth, &peer, NULL) == 0);
	snprintf(own, sizeof(own), "%s/ro/%s", o->s->folder,
		 o->uid == ALICE ? "alices" : "bobs");
	snprintf(other, sizeof(other), "%s/ro/%s", o->s->folder,
		 o->uid == ALICE ? "bobs" : "alices");
	for (int i = 0; i < 2000; i++) {
		struct msn_status why = { 0 };
		int fd = -1;

		need(msn_auth_open_path(o->s->auth, &peer, own, O_RDONLY, &fd,
					&why) == 0);
		if (fd >= 0)
			close(fd);
		need(msn_auth_open_path(o->s->auth, &peer, other, O_RDONLY, &fd,
					&why) == -EACCES);
		need(strcmp(why.reason, "FILE_DENIED") == 0);
	}
	return NULL;
}

static void other_threads_keep_their_rights(void)
{
	pthread_t stays, threads[4];
	struct opener openers[2];
	struct scene s;

	scene_open(&s, CONFIG);
	add(&s, "ro/alices", ALICE, 0, 0600);
	add(&s, "ro/bobs", BOB, 0, 0600);
	add(&s, "roots", 0, 0, 0600);
	snprintf(roots_file, sizeof(roots_file), "%s/roots", s.folder);
	openers[0] = (struct opener){ &s, ALICE };
	openers[1] = (struct opener){ &s, BOB };
	stop = false;
	wrong = 0;
	CHECK(pthread_create(&stays, NULL, stay_root, NULL) == 0);
	for (int i = 0; i < 4; i++)
		CHECK(pthread_create(&threads[i], NULL, open_often,
				     &openers[i % 2]) == 0);
	for (int i = 0; i < 4; i++)
		CHECK(pthread_join(threads[i], NULL) == 0);
	stop = true;
	CHECK(pthread_join(stays, NULL) == 0);
	EXPECT(wrong == 0);
	scene_close(&s);
}

/* ---- A caller who swaps files ------------------------------------------- */

static char swapped[3][256];

/* A file, a link that leads out and a pipe take turns at one name. */
static void *swap(void *arg)
{
	(void)arg;
	for (unsigned i = 0; !stop; i++) {
		char tmp[300];

		snprintf(tmp, sizeof(tmp), "%s.tmp", swapped[0]);
		if (i % 3 == 0)
			need(symlink(swapped[1], tmp) == 0);
		else if (i % 3 == 1)
			need(mkfifo(tmp, 0666) == 0);
		else
			need(link(swapped[2], tmp) == 0);
		need(rename(tmp, swapped[0]) == 0);
		unlink(tmp); /* a rename of a file onto itself leaves it */
	}
	return NULL;
}

static void swapping_files_gets_nobody_out(void)
{
	enum { IN, OUT, KIND, KINDS };
	unsigned seen[KINDS] = { 0 };
	pthread_t thread;
	struct scene s;

	scene_open(&s, CONFIG);
	add(&s, "out", 0, 0, 0644);
	add(&s, "ro/in", 0, 0, 0644);
	add(&s, "ro/name", 0, 0, 0644);
	snprintf(swapped[0], sizeof(swapped[0]), "%s/ro/name", s.folder);
	snprintf(swapped[1], sizeof(swapped[1]), "%s/out", s.folder);
	snprintf(swapped[2], sizeof(swapped[2]), "%s/ro/in", s.folder);
	stop = false;
	wrong = 0;
	CHECK(pthread_create(&thread, NULL, swap, NULL) == 0);
	/* However long it takes until each of them was met. */
	for (int i = 0; i < 20000 || !seen[IN] || !seen[OUT] || !seen[KIND];
	     i++) {
		const char *is = opened_by(&s, ALICE, "ro/name");
		bool in = strcmp(is, "ro/in") == 0;
		bool out = strcmp(is, "PATH_NOT_ALLOWED") == 0;
		bool kind = strcmp(is, "FILE_KIND") == 0;

		need(in || out || kind || strcmp(is, "ro/name") == 0 ||
		     status.code == MSN_CODE_UNAVAILABLE);
		seen[IN] += in;
		seen[OUT] += out;
		seen[KIND] += kind;
	}
	stop = true;
	CHECK(pthread_join(thread, NULL) == 0);
	EXPECT(wrong == 0);
	scene_close(&s);
}

/* ---- Faults ------------------------------------------------------------- */

struct walk {
	struct scene scene;
	struct msn_peer peer;
	char path[256];
	int fd;
	struct msn_status status;
	struct own before;
	unsigned fds;
};

static void *walk_prepare(void)
{
	static const gid_t theirs[] = { 1, 2, 3 };
	struct walk *w = calloc(1, sizeof(*w));

	CHECK(w);
	scene_open(&w->scene, CONFIG);
	add(&w->scene, "ro/alices", ALICE, 0, 0600);
	snprintf(w->path, sizeof(w->path), "%s/ro/alices", w->scene.folder);
	w->peer = process(ALICE, 9, theirs, 3);
	CHECK(msn_auth_peer(w->scene.auth, &w->peer, NULL) == 0);
	w->fd = -1;
	w->fds = open_fds();
	w->before = own_rights();
	return w;
}

static int walk_body(void *state)
{
	struct walk *w = state;

	return msn_auth_open_path(w->scene.auth, &w->peer, w->path, O_RDONLY,
				  &w->fd, &w->status);
}

static void walk_verify(void *state, int rc, const char *name)
{
	struct walk *w = state;
	struct own after = own_rights();
	bool rights = name && strncmp(name, "rights.", 7) == 0;

	EXPECT((rc == 0) == (name == NULL));
	EXPECT((w->status.code == MSN_CODE_OK) == (rc == 0));
	if (rights)
		EXPECT(strcmp(w->status.reason, "FILE_RIGHTS") == 0);
	EXPECT((w->fd >= 0) == (rc == 0));
	EXPECT(open_fds() == w->fds + (rc == 0));
	EXPECT(memcmp(&w->before, &after, sizeof(after)) == 0);
	if (w->fd >= 0)
		close(w->fd);
	scene_close(&w->scene);
	free(w);
}

static void whatever_fails_the_thread_has_its_rights_back(void)
{
	EXPECT(check_every_fault(walk_prepare, walk_body, walk_verify) >= 6);
}

int main(int argc, char **argv)
{
	static const struct check_test tests[] = {
		CHECK_TEST(a_file_is_opened_with_the_callers_user),
		CHECK_TEST(a_file_is_opened_with_the_callers_groups),
		CHECK_TEST(
			a_folder_that_the_caller_may_not_enter_hides_its_files),
		CHECK_TEST(who_has_no_user_here_opens_nothing),
		CHECK_TEST(only_what_lies_below_a_root_is_opened),
		CHECK_TEST(links_of_the_kernel_are_not_followed),
		CHECK_TEST(a_path_that_is_none_is_refused),
		CHECK_TEST(the_longest_root_says_what_is_allowed),
		CHECK_TEST(what_is_no_file_is_left_alone),
		CHECK_TEST(the_thread_has_its_rights_back),
		CHECK_TEST(other_threads_keep_their_rights),
		CHECK_TEST(swapping_files_gets_nobody_out),
		CHECK_TEST(whatever_fails_the_thread_has_its_rights_back),
		{}
	};

	if (geteuid() != 0)
		check_skip("not root: no other user's rights can be taken");
	at_start = own_rights();
	return check_main(argc, argv, "auth_files", tests);
}
