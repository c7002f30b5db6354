-- Clients that pause before each request: about 4,000 requests a second from 32 of them,
-- whatever the server could do.
function delay()
   return math.random(4, 12) -- milliseconds
end
