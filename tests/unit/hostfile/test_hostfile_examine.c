/*
 * Host files: what a descriptor is, held against what mmap says.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "unit/hostfile/fixture.h"

#include "block/safecopy.h"

#include <linux/fs.h>
#include <linux/loop.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>

static int errno_of_mmap(int fd, int prot, int flags)
{
	void *at = mmap(NULL, PAGE, prot, flags, fd, 0);

	if (at == MAP_FAILED)
		return -errno;
	munmap(at, PAGE);
	return 0;
}

/* What an mmap does, from what was found out, in the order Linux checks. */
static int errno_foretold(const struct msn_hostfile_info *info, int prot,
			  int flags)
{
	bool shared = flags & MAP_SHARED;

	if (shared && (prot & PROT_WRITE) && !info->writable)
		return -EACCES;
	if (shared && info->append_only)
		return -EACCES;
	if (!info->readable)
		return -EACCES;
	if ((prot & PROT_EXEC) && info->no_exec)
		return -EPERM;
	if (info->map_error)
		return info->map_error;
	if (shared && (prot & PROT_WRITE) && info->write_sealed)
		return -EPERM;
	return 0;
}

/* Closes @fd. */
static void foretell(int fd, const char *what)
{
	static const int prots[] = { PROT_READ, PROT_READ | PROT_WRITE,
				     PROT_READ | PROT_EXEC };
	static const int flags[] = { MAP_SHARED, MAP_PRIVATE };
	struct msn_hostfile_info info;

	CHECK(fd >= 0);
	CHECK(msn_hostfile_examine(fd, &info) == 0);
	for (size_t i = 0; i < 6; i++) {
		int real = errno_of_mmap(fd, prots[i / 2], flags[i % 2]);
		int told = errno_foretold(&info, prots[i / 2], flags[i % 2]);

		if (real != told)
			printf("\n    %s %x %x: %d, not %d ", what,
			       (unsigned)prots[i / 2], (unsigned)flags[i % 2],
			       real, told);
		EXPECT(real == told);
	}
	msn_close(fd);
}

static void every_descriptor_is_what_mmap_says(void)
{
	int ends[2], sock[2], fd;

	FOR_EACH_PLACE(p)
	{
		fd = new_file(p);
		foretell(open_again(fd, O_RDONLY), "read only");
		foretell(open_again(fd, O_WRONLY), "write only");
		foretell(open_again(fd, O_RDWR | O_APPEND), "O_APPEND");
		foretell(fd, place_names[p]);
	}
	fd = new_file(IN_MEMORY);
	CHECK(fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE) == 0);
	foretell(fd, "sealed");
	fd = new_file(IN_MEMORY);
	CHECK(fcntl(fd, F_ADD_SEALS, F_SEAL_FUTURE_WRITE) == 0);
	foretell(fd, "sealed for the future");
	foretell(open("/tmp", O_RDONLY | O_CLOEXEC), "directory");
	CHECK(pipe(ends) == 0);
	foretell(ends[0], "pipe");
	foretell(ends[1], "pipe, write end");
	CHECK(socketpair(AF_UNIX, SOCK_STREAM, 0, sock) == 0);
	foretell(sock[0], "socket");
	close(sock[1]);
	foretell(open("/dev/null", O_RDWR | O_CLOEXEC), "/dev/null");
	foretell(open("/proc/self/maps", O_RDONLY | O_CLOEXEC), "proc");
	foretell(open("/proc/version", O_RDONLY | O_CLOEXEC), "proc file");
}

static int new_of(int fd)
{
	struct msn_hostfile *hf;
	int rc = msn_hostfile_new(
		&hf, &(struct msn_hostfile_opts){ .fd = fd, .path = "x" });

	if (rc == 0)
		host_free(hf);
	return rc;
}

static void what_cannot_be_mapped_is_refused_with_its_errno(void)
{
	int ends[2];

	CHECK(pipe(ends) == 0);
	EXPECT(new_of(ends[0]) == -ENODEV);
	EXPECT(new_of(ends[1]) == -EACCES);
	EXPECT(new_of(open("/tmp", O_RDONLY | O_CLOEXEC)) == -ENODEV);
	EXPECT(new_of(open("/tmp", O_PATH | O_CLOEXEC)) == -EBADF);
	EXPECT(new_of(open("/dev/null", O_RDWR | O_CLOEXEC)) == -ENODEV);
	EXPECT(new_of(open("/dev/zero", O_RDWR | O_CLOEXEC)) == -ENODEV);
	EXPECT(new_of(-1) == -EBADF);
}

static void the_zero_device_is_known(void)
{
	msn_auto(msn_closep) int zero = open("/dev/zero", O_RDWR | O_CLOEXEC);
	msn_auto(msn_closep) int null = open("/dev/null", O_RDWR | O_CLOEXEC);
	msn_auto(msn_closep) int file = new_file(ON_DISK);

	CHECK(zero >= 0 && null >= 0);
	EXPECT(msn_hostfile_is_zero_device(zero));
	EXPECT(!msn_hostfile_is_zero_device(null));
	EXPECT(!msn_hostfile_is_zero_device(file));
	EXPECT(!msn_hostfile_is_zero_device(-1));
}

/* In a child, so that the mount is nobody else's. */
static int look_at_noexec_mount(void)
{
	struct msn_hostfile_info info;
	int fd;

	if (unshare(CLONE_NEWNS) < 0 ||
	    mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
	    mount("none", "/mnt", "tmpfs", MS_NOEXEC, NULL) < 0)
		return 77;
	fd = open("/mnt/file", O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	if (fd < 0 || msn_hostfile_examine(fd, &info))
		return 1;
	return info.no_exec && !info.map_error ? 0 : 2;
}

/* ---- Little room --------------------------------------------------------- */

/* Runs @body in a child; 77 from it: it could not be tried. */
static void in_child(int (*body)(void))
{
	pid_t pid = fork();
	int status;

	if (pid == 0)
		_exit(body());
	CHECK(waitpid(pid, &status, 0) == pid);
	CHECK(WIFEXITED(status));
	if (WEXITSTATUS(status) == 77)
		printf("(could not be tried) ");
	else if (WEXITSTATUS(status))
		printf("(step %d) ", WEXITSTATUS(status));
	EXPECT(WEXITSTATUS(status) == 0 || WEXITSTATUS(status) == 77);
}

/* A file system of 64 pages with a sparse file of 128. */
static int store_on_full_file_system(void)
{
	if (unshare(CLONE_NEWNS) < 0 ||
	    mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
	    mount("none", "/mnt", "tmpfs", 0, "size=256k") < 0)
		return 77;
	FOR_BOTH_WAYS(buffered)
	{
		int fd = open("/mnt/file",
			      O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
		struct msn_hostfile *hf;
		unsigned stored = 0;
		size_t done;

		if (fd < 0 || ftruncate(fd, 128 * (off_t)PAGE) < 0)
			return 77;
		hf = host_of(fd, buffered);
		for (uint64_t i = 0; i < 128; i++)
			stored += msn_file_write(file_of(hf), i * PAGE, "x", 1,
						 &done) == 0;
		if (stored == 0 || stored > 64)
			return 1;
		/* Mapped, a hole of tmpfs takes a page to be looked at. */
		if (byte_at(file_of(hf), 0) != 'x' ||
		    byte_at(file_of(hf), 127 * PAGE) != (buffered ? 0 : -1))
			return 2;
		if (msn_hostfile_stats(hf).kept_bytes)
			return 3;
		host_free(hf);
	}
	return 0;
}

static void a_noexec_mount_shows(void)
{
	in_child(look_at_noexec_mount);
}

static void a_full_file_system_is_a_bus_error_either_way(void)
{
	in_child(store_on_full_file_system);
}

/* No address is left for a window, nor for a look in passing. */
static int use_without_addresses(void)
{
	struct rlimit limit = { PAGE, PAGE };
	int fd = new_file(ON_DISK);
	struct msn_hostfile *hf;
	struct msn_file *file;
	uint8_t vec[8];
	size_t done;

	if (CHECK_SANITIZED)
		return 77;
	CHECK(ftruncate(fd, 8 * (off_t)PAGE) == 0);
	fill(fd, 4 * PAGE);
	hf = host_of(fd, false);
	file = file_of(hf);
	if (setrlimit(RLIMIT_AS, &limit))
		return 77;
	if (byte_at(file, PAGE) != 'B')
		return 1;
	if (msn_file_write(file, PAGE, "x", 1, &done) ||
	    byte_at(file, PAGE) != 'x')
		return 2;
	if (msn_file_resident(file, FILE_PAGES(0, 8), vec))
		return 3;
	for (int i = 0; i < 8; i++)
		if (vec[i] != (i < 4 || is_stacked(fd)))
			return 4;
	if (msn_identity_msync(msn_hostfile_identity(hf), PAGES(0, 8)))
		return 5;
	return msn_hostfile_stats(hf).windows == 0 ? 0 : 6;
}

static void without_addresses_everything_goes_buffered(void)
{
	in_child(use_without_addresses);
}

/* ---- Block devices ------------------------------------------------------- */

/* A loop device over @fd that goes with its last descriptor, or -1. */
static int loop_over(int fd)
{
	struct loop_config config = {
		.fd = (unsigned)fd, .info = { .lo_flags = LO_FLAGS_AUTOCLEAR }
	};
	msn_auto(msn_closep) int control =
		open("/dev/loop-control", O_RDWR | O_CLOEXEC);
	char path[64];
	int nr, loop;

	nr = control < 0 ? -1 : ioctl(control, LOOP_CTL_GET_FREE);
	if (nr < 0)
		return -1;
	snprintf(path, sizeof(path), "/dev/loop%d", nr);
	loop = open(path, O_RDWR | O_CLOEXEC);
	if (loop >= 0 && ioctl(loop, LOOP_CONFIGURE, &config) < 0)
		loop = msn_close(loop);
	return loop;
}

static void a_block_device_is_as_long_as_its_blocks(void)
{
	msn_auto(msn_closep) int fd = new_file(ON_DISK);

	fill(fd, 16 * PAGE);
	FOR_BOTH_WAYS(buffered)
	{
		int loop = loop_over(fd);
		struct msn_hostfile *hf;
		size_t done;

		if (loop < 0) {
			printf("(no loop device) ");
			return;
		}
		hf = host_of(loop, buffered);
		EXPECT(byte_at(file_of(hf), 15 * PAGE) == 'P');
		EXPECT(byte_at(file_of(hf), 16 * PAGE) == -1);
		CHECK(msn_file_write(file_of(hf), 3 * PAGE, "x", 1, &done) ==
		      0);
		CHECK(msn_identity_msync(msn_hostfile_identity(hf),
					 PAGES(3, 4)) == 0);
		EXPECT(byte_at(file_of(hf), 3 * PAGE) == 'x');
		EXPECT(msn_hostfile_truncate(hf, PAGE) == -EINVAL);
		host_free(hf);
	}
}

/* ---- Inodes with flags --------------------------------------------------- */

/* False: this file system, or this user, has no such thing. */
static bool set_inode_flag(int fd, int flag)
{
	int flags;

	if (ioctl(fd, FS_IOC_GETFLAGS, &flags) < 0)
		return false;
	flags = (flags & ~(FS_APPEND_FL | FS_IMMUTABLE_FL)) | flag;
	return ioctl(fd, FS_IOC_SETFLAGS, &flags) == 0;
}

static void an_append_only_inode_is_read_and_never_shared(void)
{
	int fd = new_file(ON_DISK);
	msn_auto(msn_closep) int other = open_again(fd, O_RDONLY);
	struct msn_hostfile *hf;
	size_t done;

	fill(fd, 2 * PAGE);
	if (!set_inode_flag(fd, FS_APPEND_FL)) {
		printf("(no such flag) ");
		msn_close(fd);
		return;
	}
	FOR_BOTH_WAYS(buffered)
	{
		hf = host_of(dup(fd), buffered);
		EXPECT(msn_hostfile_info(hf).append_only);
		EXPECT(!msn_hostfile_writable(hf));
		EXPECT(byte_at(file_of(hf), PAGE) == 'B');
		EXPECT(msn_hostfile_stats(hf).windows == !buffered);
		EXPECT(msn_file_write(file_of(hf), 0, "x", 1, &done) ==
		       -EACCES);
		host_free(hf);
	}
	set_inode_flag(other, 0);
	msn_close(fd);
}

/* What a store to the first byte of a mapping of @fd is. */
static int store_of_mmap(int fd)
{
	char *at = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	size_t done;
	int rc;

	CHECK(at != MAP_FAILED);
	rc = msn_safecopy(at, "A", 1, &done);
	munmap(at, PAGE);
	return rc ? MSN_FILE_E_BUS : 0;
}

static void stores_to_an_immutable_inode_are_what_mmap_says(void)
{
	int fd = new_file(ON_DISK), told;
	size_t done;

	fill(fd, 2 * PAGE);
	if (!set_inode_flag(fd, FS_IMMUTABLE_FL)) {
		printf("(no such flag) ");
		msn_close(fd);
		return;
	}
	told = store_of_mmap(fd);
	FOR_BOTH_WAYS(buffered)
	{
		struct msn_hostfile *hf = host_of(dup(fd), buffered);

		EXPECT(byte_at(file_of(hf), 0) == 'A');
		EXPECT(msn_file_write(file_of(hf), 0, "A", 1, &done) == told);
		EXPECT(is_stacked(fd) || told == MSN_FILE_E_BUS);
		EXPECT(msn_mappable_punch_hole(msn_hostfile_mappable(hf),
					       PAGES(1, 2)) ==
		       (fallocate(fd,
				  FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
				  (off_t)PAGE, (off_t)PAGE) < 0
				? -errno
				: 0));
		host_free(hf);
	}
	set_inode_flag(fd, 0);
	msn_close(fd);
}

static void a_seal_that_comes_later_forbids_new_writers(void)
{
	int fd = new_file(IN_MEMORY);
	msn_auto(msn_closep) int other = dup(fd);
	struct recorder r = { .base = { &recorder_ops } };
	unsigned max_perms = MSN_ACCESS_ANY;
	struct msn_hostfile *hf;
	struct msn_mappable *obj;

	fill(fd, 2 * PAGE);
	hf = host_of(fd, false);
	obj = msn_hostfile_mappable(hf);
	CHECK(msn_mappable_add_mapping(obj, &r.base, ADDRS(0, 2), 0, true) ==
	      0);
	EXPECT(!msn_hostfile_info(hf).write_sealed);
	CHECK(fcntl(other, F_ADD_SEALS, F_SEAL_FUTURE_WRITE) == 0);
	EXPECT(msn_hostfile_info(hf).write_sealed);
	EXPECT(msn_mappable_check_mmap(obj, true,
				       MSN_ACCESS_READ | MSN_ACCESS_WRITE,
				       &max_perms) == -EPERM);
	EXPECT(msn_mappable_check_mmap(obj, true, MSN_ACCESS_READ,
				       &max_perms) == 0);
	EXPECT(max_perms == (MSN_ACCESS_READ | MSN_ACCESS_EXEC));
	EXPECT(msn_mappable_check_mmap(obj, false,
				       MSN_ACCESS_READ | MSN_ACCESS_WRITE,
				       &max_perms) == 0);
	EXPECT(msn_mappable_add_mapping(obj, &r.base, ADDRS(8, 10), 0, false) ==
	       0);
	/* The one that is there may move. */
	EXPECT(msn_mappable_copy_mapping(obj, &r.base, ADDRS(0, 2), ADDRS(4, 6),
					 0, true) == 0);
	msn_mappable_remove_mapping(obj, &r.base, ADDRS(0, 2), 0, true);
	msn_mappable_remove_mapping(obj, &r.base, ADDRS(4, 6), 0, true);
	msn_mappable_remove_mapping(obj, &r.base, ADDRS(8, 10), 0, false);
	host_free(hf);
}

static void a_read_only_file_has_no_writable_mappings(void)
{
	msn_auto(msn_closep) int fd = new_file(ON_DISK);
	struct recorder r = { .base = { &recorder_ops } };
	struct msn_hostfile *hf;
	struct msn_translation t;
	int why;

	fill(fd, PAGE);
	hf = host_of(open_again(fd, O_RDONLY), false);
	EXPECT(!msn_hostfile_writable(hf));
	EXPECT(msn_mappable_add_mapping(msn_hostfile_mappable(hf), &r.base,
					ADDRS(0, 1), 0, true) == -EACCES);
	EXPECT(msn_mappable_translate(msn_hostfile_mappable(hf), PAGES(0, 1),
				      PAGES(0, 1), MSN_ACCESS_WRITE, &t, 1,
				      &why) == -EACCES);
	CHECK(msn_mappable_translate(msn_hostfile_mappable(hf), PAGES(0, 1),
				     PAGES(0, 1), MSN_ACCESS_READ, &t, 1,
				     &why) == 1);
	EXPECT(!(t.perms & MSN_ACCESS_WRITE));
	/* Nothing of it is dirty: as on Linux nothing is synced. */
	EXPECT(msn_identity_msync(msn_hostfile_identity(hf), PAGES(0, 1)) == 0);
	EXPECT(msn_hostfile_stats(hf).syncs == 0);
	host_free(hf);
}

int main(int argc, char **argv)
{
	static const struct check_test tests[] = {
		CHECK_TEST(every_descriptor_is_what_mmap_says),
		CHECK_TEST(what_cannot_be_mapped_is_refused_with_its_errno),
		CHECK_TEST(the_zero_device_is_known),
		CHECK_TEST(a_noexec_mount_shows),
		CHECK_TEST(a_full_file_system_is_a_bus_error_either_way),
		CHECK_TEST(without_addresses_everything_goes_buffered),
		CHECK_TEST(a_block_device_is_as_long_as_its_blocks),
		CHECK_TEST(an_append_only_inode_is_read_and_never_shared),
		CHECK_TEST(stores_to_an_immutable_inode_are_what_mmap_says),
		CHECK_TEST(a_seal_that_comes_later_forbids_new_writers),
		CHECK_TEST(a_read_only_file_has_no_writable_mappings),
		{}
	};

	return check_main(argc, argv, "host file descriptors", tests);
}
