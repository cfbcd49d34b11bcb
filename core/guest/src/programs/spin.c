/* spin [SECONDS]: load in user mode. */
#include "lib.h"

int main(int argc, char **argv)
{
    u64 seconds = 10, rounds = 0;
    if (argc > 2 || (argc == 2 && (!parse_number(argv[1], &seconds) || seconds > 86400))) {
        print("usage: spin [SECONDS]\n");
        return 2;
    }
    for (u64 until = clock_now() + seconds * SECOND; clock_now() < until; rounds++)
        for (volatile int i = 0; i < 100000; i++)
            ;
    print("spin: %lu rounds of 100000\n", rounds);
    return 0;
}
