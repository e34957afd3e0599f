# A server for spec/transport_spec.lua that says what no HTTP library would say.
# usage: perl raw.pl PARENT FIRST AGAIN    with \r, \n and \0 spelt out
# Prints its port, then the request line of each connection's last request. Answers each
# connection's first bytes with FIRST, then with AGAIN without end (with nothing more, if AGAIN is
# empty). Between answers to several requests of one connection FIRST has NEXT. A FIRST of RESET
# resets the connection instead. Ends with its parent.
use strict;
use warnings;
use IO::Socket::INET;
use Socket qw(SOL_SOCKET SO_LINGER);

my ($parent, $first, $again) = @ARGV;
for ($first, $again) { s/\\r/\r/g; s/\\n/\n/g; s/\\0/\0/g; }
my $server = IO::Socket::INET->new(LocalAddr => '127.0.0.1', Listen => 5, ReuseAddr => 1) or die;
$| = 1;
$SIG{PIPE} = 'IGNORE';
print $server->sockport, "\n";
$server->timeout(1);
while (kill 0, $parent) {
  my $connection = $server->accept or next;
  my @answers = split /NEXT/, $first, -1;
  while (@answers > 1) {
    sysread $connection, my $request, 65536;
    syswrite $connection, shift @answers;
  }
  sysread $connection, my $request, 65536;
  print $request =~ /^(.* HTTP.*)/, "\n";
  if ($first eq 'RESET') {
    setsockopt $connection, SOL_SOCKET, SO_LINGER, pack 'ii', 1, 0;
    close $connection;
    next;
  }
  syswrite $connection, shift @answers if @answers;
  if (length $again) {
    my $block = $again x (1 + 65536 / length $again);
    1 while defined syswrite $connection, $block;
  }
  close $connection;
}
