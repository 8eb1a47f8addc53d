/* The floor: what no agent in C can beat. Reads a list of `mode size path\ncontent` records, and
 * compares each file with it by lstat and read. Exit 2 when one differs. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static char *whole(const char *path, long *size)
{
    FILE *file = fopen(path, "rb");
    if (!file)
        exit(1);
    fseek(file, 0, SEEK_END);
    *size = ftell(file);
    rewind(file);
    char *text = malloc(*size + 1);
    if (!text || fread(text, 1, *size, file) != (size_t)*size)
        exit(1);
    text[*size] = 0;
    fclose(file);
    return text;
}

int main(int argc, char **argv)
{
    long size;
    if (argc != 2)
        return 1;
    char *at = whole(argv[1], &size), *end = at + size;
    static char found[1 << 20];
    while (at < end) {
        unsigned mode = strtoul(at, &at, 8);
        long length = strtol(at, &at, 10);
        char *path = ++at;
        at = strchr(at, '\n');
        *at++ = 0;
        struct stat status;
        if (lstat(path, &status) || status.st_size != length || (status.st_mode & 07777) != mode)
            return 2;
        int fd = open(path, O_RDONLY);
        if (fd < 0 || read(fd, found, length + 1) != length || memcmp(found, at, length))
            return 2;
        close(fd);
        at += length;
    }
    return 0;
}
