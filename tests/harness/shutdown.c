/* Stops a mounted filesystem at once, as when its disk is pulled: what was not synced is lost, and every call on it
 * fails from now on. Usage: shutdown FOLDER */
#include <fcntl.h>
#include <stdio.h>
#include <sys/ioctl.h>

#define EXT4_IOC_SHUTDOWN _IOR('X', 125, unsigned int)
#define WITHOUT_THE_JOURNAL 2u

int main(int count, char **words) {
    unsigned how = WITHOUT_THE_JOURNAL;
    int folder = count == 2 ? open(words[1], O_RDONLY) : -1;
    if (folder < 0 || ioctl(folder, EXT4_IOC_SHUTDOWN, &how) != 0) {
        perror("shutdown");
        return 1;
    }
    return 0;
}
