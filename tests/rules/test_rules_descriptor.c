/*
 * The rules of host files: which descriptors, with which rights, by what name.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "unit/hostfile/fixture.h"

#include <sys/socket.h>

/* ---- Descriptors --------------------------------------------------------- */

/* What is said of a host file over @fd, which it takes. */
static int try_host(int fd)
{
	struct msn_hostfile *hf;
	int rc = msn_hostfile_new(
		&hf, &(struct msn_hostfile_opts){ .fd = fd, .path = "/x" });

	if (rc == 0)
		host_free(hf);
	return rc;
}

static void refused(void)
{
	int fd = new_file(IN_MEMORY), ends[2], sock[2];

	CHECK(pipe(ends) == 0);
	EXPECT(try_host(ends[0]) == -ENODEV);
	close(ends[1]);
	CHECK(socketpair(AF_UNIX, SOCK_STREAM, 0, sock) == 0);
	EXPECT(try_host(sock[0]) == -ENODEV);
	close(sock[1]);
	EXPECT(try_host(open("/tmp", O_RDONLY | O_CLOEXEC)) == -ENODEV);
	EXPECT(try_host(open("/dev/null", O_RDWR | O_CLOEXEC)) == -ENODEV);
	EXPECT(try_host(open("/tmp", O_PATH | O_CLOEXEC)) == -EBADF);
	EXPECT(try_host(open_again(fd, O_WRONLY)) == -EACCES);
	EXPECT(try_host(fd) == 0);
	EXPECT(try_host(fd) == -EBADF); /* it was taken over */
}

static void a_fifo_does_not_block(void)
{
	char path[] = "/tmp/memsnap-test-XXXXXX", fifo[64];
	struct msn_hostfile *hf;

	CHECK(mkdtemp(path));
	snprintf(fifo, sizeof(fifo), "%s/fifo", path);
	CHECK(mkfifo(fifo, 0600) == 0);
	EXPECT(msn_hostfile_open(&hf, fifo, false) == -ENODEV);
	EXPECT(msn_hostfile_open(&hf, path, true) == -EISDIR);
	CHECK(unlink(fifo) == 0 && rmdir(path) == 0);
	EXPECT(msn_hostfile_open(&hf, fifo, false) == -ENOENT);
}

static void zero_is_anonymous(void)
{
	msn_auto(msn_closep) int zero = open("/dev/zero", O_RDWR | O_CLOEXEC);
	msn_auto(msn_closep) int null = open("/dev/null", O_RDWR | O_CLOEXEC);

	EXPECT(msn_hostfile_is_zero_device(zero));
	EXPECT(!msn_hostfile_is_zero_device(null));
}

static void direct(void)
{
	msn_auto(msn_closep) int plain = new_file(ON_DISK);
	struct msn_hostfile *hf;
	size_t done;
	int fd;

	fill(plain, 3 * PAGE + 5);
	fd = open_again(plain, O_RDWR | O_DIRECT);
	if (fd < 0)
		return; /* a file system without direct I/O has no such rule */
	hf = host_of(fd, true);
	EXPECT(byte_at(file_of(hf), PAGE + 1) == 'B');
	CHECK(msn_file_write(file_of(hf), 3 * PAGE + 1, "odd", 3, &done) == 0);
	EXPECT(byte_at(file_of(hf), 3 * PAGE + 2) == 'd');
	EXPECT(byte_at(file_of(hf), 3 * PAGE + 5) == 0);
	EXPECT(lseek(plain, 0, SEEK_END) == 3 * (off_t)PAGE + 5);
	host_free(hf);
}

static void append(void)
{
	FOR_BOTH_WAYS(buffered)
	{
		msn_auto(msn_closep) int plain = new_file(IN_MEMORY);
		struct msn_hostfile *hf;
		size_t done;

		fill(plain, 2 * PAGE);
		hf = host_of(open_again(plain, O_RDWR | O_APPEND), buffered);
		msn_file_inc_ref(file_of(hf), FILE_PAGES(0, 1), 0);
		CHECK(msn_file_write(file_of(hf), 10, "here", 4, &done) == 0);
		EXPECT(byte_at(file_of(hf), 10) == 'h');
		EXPECT(lseek(plain, 0, SEEK_END) == 2 * (off_t)PAGE);
		msn_file_dec_ref(file_of(hf), FILE_PAGES(0, 1));
		host_free(hf);
	}
}

static void only_for_reading(void)
{
	msn_auto(msn_closep) int fd = new_file(IN_MEMORY);
	struct recorder r = { .base.ops = &recorder_ops };
	struct msn_mappable *obj;
	struct msn_translation t;
	struct msn_hostfile *hf;
	size_t done;
	int why;

	fill(fd, PAGE);
	hf = host_of(open_again(fd, O_RDONLY), false);
	obj = msn_hostfile_mappable(hf);
	EXPECT(!msn_hostfile_writable(hf));
	EXPECT(msn_mappable_add_mapping(obj, &r.base, ADDRS(0, 1), 0, true) ==
	       -EACCES);
	CHECK(msn_mappable_translate(obj, PAGES(0, 1), PAGES(0, 1),
				     MSN_ACCESS_READ, &t, 1, &why) == 1);
	EXPECT(!(t.perms & MSN_ACCESS_WRITE));
	msn_file_inc_ref(t.file, FILE_PAGES(0, 1), 0);
	EXPECT(msn_file_write(t.file, 0, "x", 1, &done) == -EACCES);
	msn_file_dec_ref(t.file, FILE_PAGES(0, 1));
	host_free(hf);
}

static void seals(void)
{
	int fd = new_file(IN_MEMORY);
	unsigned may = MSN_ACCESS_ANY;
	struct msn_hostfile *hf;

	fill(fd, PAGE);
	CHECK(fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE) == 0);
	hf = host_of(fd, false);
	EXPECT(msn_mappable_check_mmap(msn_hostfile_mappable(hf), true, RW,
				       &may) == -EPERM);
	EXPECT(msn_mappable_check_mmap(msn_hostfile_mappable(hf), false, RW,
				       &may) == 0);
	host_free(hf);
}

static void sealed_later(void)
{
	int fd = new_file(IN_MEMORY);
	struct recorder r = { .base.ops = &recorder_ops };
	unsigned may = MSN_ACCESS_ANY;
	struct msn_mappable *obj;
	struct msn_hostfile *hf;

	fill(fd, PAGE);
	hf = host_of(fd, false);
	obj = msn_hostfile_mappable(hf);
	CHECK(msn_mappable_add_mapping(obj, &r.base, ADDRS(0, 1), 0, true) ==
	      0);
	CHECK(fcntl(fd, F_ADD_SEALS, F_SEAL_FUTURE_WRITE) == 0);
	EXPECT(msn_mappable_check_mmap(obj, true, RW, &may) == -EPERM);
	EXPECT(msn_mappable_check_mmap(obj, true, MSN_ACCESS_READ, &may) == 0);
	EXPECT(!(may & MSN_ACCESS_WRITE));
	/* What is there may be moved. */
	EXPECT(msn_mappable_copy_mapping(obj, &r.base, ADDRS(0, 1), ADDRS(4, 5),
					 0, true) == 0);
	msn_mappable_remove_mapping(obj, &r.base, ADDRS(0, 1), 0, true);
	msn_mappable_remove_mapping(obj, &r.base, ADDRS(4, 5), 0, true);
	host_free(hf);
}

/* ---- Identity ------------------------------------------------------------ */

static void as_maps_shows_it(void)
{
	struct msn_hostfile *hf;
	struct msn_identity *id;
	struct stat st;

	CHECK(stat("/proc/self/exe", &st) == 0);
	CHECK(msn_hostfile_open(&hf, "/proc/self/exe", false) == 0);
	id = msn_hostfile_identity(hf);
	EXPECT(strcmp(msn_identity_mapped_name(id), "/proc/self/exe") == 0);
	EXPECT(msn_identity_device_id(id) == st.st_dev);
	EXPECT(msn_identity_inode_id(id) == st.st_ino);
	host_free(hf);
}

static void saved_by_path(void)
{
	char path[] = "/tmp/memsnap-test-XXXXXX";
	int fd = mkostemp(path, O_CLOEXEC);
	struct msn_identity_saved saved;
	struct msn_hostfile *hf;
	struct msn_identity *id;
	struct stat st;

	CHECK(fd >= 0);
	fill(fd, PAGE + 5);
	CHECK(fstat(fd, &st) == 0);
	CHECK(msn_hostfile_new(&hf, &(struct msn_hostfile_opts){
					    .fd = fd, .path = path }) == 0);
	id = msn_hostfile_identity(hf);
	CHECK(msn_identity_save(id, &saved) == 0);
	EXPECT(saved.as == MSN_SAVED_AS_PATH);
	EXPECT(saved.file.inode == st.st_ino);
	EXPECT(saved.file.size_bytes == PAGE + 5);
	EXPECT(saved.file.mtime_ns ==
	       st.st_mtim.tv_sec * INT64_C(1000000000) + st.st_mtim.tv_nsec);
	CHECK(unlink(path) == 0);
	EXPECT(msn_identity_save(id, &saved) == -EOPNOTSUPP);
	host_free(hf);
}

static const struct check_test rules[] = {
	{ "what Linux cannot map is ENODEV, O_PATH is EBADF, and without "
	  "reading it is EACCES",
	  refused },
	{ "opening a FIFO does not wait", a_fifo_does_not_block },
	{ "/dev/zero is no host file but anonymous memory", zero_is_anonymous },
	{ "O_DIRECT takes any offset and length", direct },
	{ "O_APPEND stores where it is told", append },
	{ "a file open for reading is not written by shared mappings: EACCES",
	  only_for_reading },
	{ "a write seal is EPERM for shared writing, not for private", seals },
	{ "one that comes later leaves the mappings that are there",
	  sealed_later },
	{ "maps shows its path, device and inode", as_maps_shows_it },
	{ "it is saved by its path, as long as that leads there",
	  saved_by_path },
	{ 0 }
};

int main(int argc, char **argv)
{
	return check_main(argc, argv, "descriptor", rules);
}
