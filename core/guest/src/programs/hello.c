/* hello: the smallest program. */
#include "lib.h"

int main(int argc, char **argv)
{
    print("Hello from user mode, pid %ld", call(CALL_PID, 0, 0, 0));
    for (int i = 1; i < argc; i++)
        print("%s %s", i == 1 ? ":" : "", argv[i]);
    print("\n");
    return 0;
}
