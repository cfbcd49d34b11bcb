/* primes [N]: the primes below N by the sieve of Eratosthenes. */
#include "lib.h"

#define MOST 100000000

int main(int argc, char **argv)
{
    u64 n = 1000000, count = 0, last = 0;
    if (argc > 2 || (argc == 2 && (!parse_number(argv[1], &n) || n > MOST))) {
        print("usage: primes [N]  (at most %d)\n", MOST);
        return 2;
    }
    u64 start = clock_now();
    u8 *composite = map(n + 1, MAP_WRITE);
    if (!composite) {
        print("primes: no memory\n");
        return 1;
    }
    for (u64 i = 2; i < n; i++) {
        if (composite[i])
            continue;
        count++;
        last = i;
        for (u64 j = i * i; j < n; j += i)
            composite[j] = 1;
    }
    u64 ms = (clock_now() - start) / MILLISECOND;
    print("%lu primes below %lu", count, n);
    if (count)
        print(", the largest is %lu", last);
    print(" (%lu.%03lu s)\n", ms / 1000, ms % 1000);
    return 0;
}
