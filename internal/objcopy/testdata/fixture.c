// The program of the fixtures: own code only, no C library.
#ifdef _WIN32
int loaded = 1;
static int zeroed;
#else
__thread int loaded = 1;
static __thread int zeroed;
#endif
int value = 4;
static int space[5000];
const char *text = "text";

int hidden_name(int at) { return space[at & 7] + loaded + zeroed; }

#ifdef _WIN32
int mainCRTStartup(void) { return value + space[3] + (text[0] == 't'); }
#else
void _start(void) {
    value += hidden_name(1);
    for (;;) {
    }
}
#endif
