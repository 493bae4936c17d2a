// SPDX-License-Identifier: MIT
/* cat, but it does not wait for a file that would block. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

int main(int argc, char **argv)
{
	char buf[200];
	ssize_t n;
	int fd;

	if (argc != 2) {
		fputs("usage: cat_nonblock FILE\n", stderr);
		return 2;
	}
	fd = open(argv[1], O_RDONLY | O_NONBLOCK);
	if (fd < 0 && errno == EAGAIN) {
		puts("Open would block");
		return 1;
	}
	if (fd < 0) {
		perror("cat_nonblock");
		return 1;
	}
	while ((n = read(fd, buf, sizeof(buf))) > 0) {
		if (write(1, buf, n) != n)
			return 1;
	}
	return n < 0;
}
